// The cache volume: an SMB share that the download stage fills and the upload stage empties.
//
// SMB and not NFS: it is encrypted on the way, needs no virtual network, bills what is used, and gives the files to the
// handlers' user, who is not root. Its price is an account key, which goes from here into the vault and nowhere else.

import { cacheType, tagsType } from '../types.bicep'

@description('Name of the storage account.')
@minLength(3)
@maxLength(24)
param name string

@description('Name of the share.')
@minLength(3)
@maxLength(63)
param shareName string

@description('Region.')
param location string

@description('Size and tier.')
param settings cacheType

@description('Name of the vault that gets the key.')
param vaultName string

@description('Name of the key in the vault.')
param secretName string

@description('Resource id of the identity that reads the key.')
param identityId string

@description('Object id of that identity.')
param identityPrincipalId string

@description('Whether the share is reached from outside of the virtual network.')
param publicAccess bool

@description('Resource id of the Log Analytics workspace.')
param workspaceId string

@description('Tags.')
param tags tagsType

var secretsUserRole = '4633458b-17de-408a-b874-0445c86b69e6' // Key Vault Secrets User
var isPremium = startsWith(settings.sku, 'Premium')

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: isPremium ? 'FileStorage' : 'StorageV2'
  sku: { name: settings.sku }
  properties: {
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    // An SMB mount of Container Apps knows no identity.
    allowSharedKeyAccess: true
    publicNetworkAccess: publicAccess ? 'Enabled' : 'Disabled'
    networkAcls: { defaultAction: publicAccess ? 'Allow' : 'Deny', bypass: 'None' }
  }
}

resource files 'Microsoft.Storage/storageAccounts/fileServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    protocolSettings: {
      // Without 2.1, which knows no encryption.
      smb: {
        versions: 'SMB3.0;SMB3.1.1'
        channelEncryption: 'AES-128-CCM;AES-128-GCM;AES-256-GCM'
        authenticationMethods: 'NTLMv2'
      }
    }
    // Nothing in the cache is worth keeping once its message is done.
    shareDeleteRetentionPolicy: { enabled: false }
  }
}

resource share 'Microsoft.Storage/storageAccounts/fileServices/shares@2025-06-01' = {
  parent: files
  name: shareName
  properties: {
    enabledProtocols: 'SMB'
    shareQuota: settings.sizeGiB
    accessTier: isPremium ? 'Premium' : 'TransactionOptimized'
  }
}

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

resource key 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = {
  parent: vault
  name: secretName
  tags: tags
  properties: { value: account.listKeys().keys[settings.?accountKey == 'key2' ? 1 : 0].value }
}

resource reader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: key
  name: guid(key.id, identityId, secretsUserRole)
  properties: {
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUserRole)
  }
}

// No logs of single operations: they would cost more than the share.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: files
  name: 'to-log-analytics'
  properties: {
    workspaceId: workspaceId
    metrics: [{ category: 'Transaction', enabled: true }, { category: 'Capacity', enabled: true }]
  }
}
