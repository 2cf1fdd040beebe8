// Development: everything scales to zero, and what cannot is the smallest there is.
//
//   export XACT_FABRIC_WORKSPACE_ID=… XACT_FABRIC_LAKEHOUSE_ID=… XACT_IMAGE_TAG=…
//   az deployment group create --resource-group rg-xact-dev --parameters bicep/main.dev.bicepparam

using 'main.bicep'

param environmentName = 'dev'

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

param eventHubs = { sku: 'Standard', capacity: 1 }

param defaultSize = { cores: '0.25', minReplicas: 0 }

param cache = { sizeGiB: 50, sku: 'Standard_LRS' }

param registrySku = 'Basic'

param logs = { retentionDays: 30, dailyQuotaGb: 1 }

param tags = { costCentre: 'development' }
