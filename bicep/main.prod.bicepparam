// Production: the stages on the way of an event are always there, the namespace grows with the load, copies are in
// several zones where that needs no network of one's own.
//
//   export XACT_FABRIC_WORKSPACE_ID=… XACT_FABRIC_LAKEHOUSE_ID=… XACT_IMAGE_TAG=… XACT_ALERT_EMAIL=…
//   az deployment group create --resource-group rg-xact-prod --parameters bicep/main.prod.bicepparam

using 'main.bicep'

param environmentName = 'prod'

param fabric = {
  workspaceId: readEnvironmentVariable('XACT_FABRIC_WORKSPACE_ID')
  lakehouseId: readEnvironmentVariable('XACT_FABRIC_LAKEHOUSE_ID')
  // XACT_FABRIC_SCHEMA= (empty) if the lakehouse was made without schemas.
  schema: readEnvironmentVariable('XACT_FABRIC_SCHEMA', 'dbo')
}

param imageTag = readEnvironmentVariable('XACT_IMAGE_TAG')

// `false` the first time, while the registry has no images.
param deployApps = bool(readEnvironmentVariable('XACT_DEPLOY_APPS', 'true'))

// Only with `servicePrincipal`, and only until the vault has it.
param scalerPrincipalSecret = readEnvironmentVariable('XACT_SCALER_SECRET', '')

// `true`: a virtual network, private endpoints, no public access. To be decided before the first deployment.
param privateNetworking = false

// A deployment keeps the throughput units that the namespace has grown to.
param eventHubs = { sku: 'Standard', capacity: 2, maximumCapacity: 20 }

// Nobody waits for retries and dead letters: they scale to zero here as well.
param defaultSize = { cores: '0.5', minReplicas: 1 }
param stageSizes = {
  download: { cores: '1.0', minReplicas: 1 }
  upload: { cores: '1.0', minReplicas: 1 }
  'retry-scheduler': { cores: '0.25', minReplicas: 0 }
  dlq: { cores: '0.25', minReplicas: 0 }
}

param cache = { sizeGiB: 1024, sku: 'Premium_ZRS' }

param registrySku = 'Standard'

param vaultPurgeProtection = true

param logs = { retentionDays: 90, dailyQuotaGb: -1 }

param alerts = {
  emails: [readEnvironmentVariable('XACT_ALERT_EMAIL')]
  deadLettersWarning: 5
  deadLettersCritical: 10
  lagMinutes: 15
}

param tags = { costCentre: 'production' }
