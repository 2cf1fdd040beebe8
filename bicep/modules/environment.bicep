// The Container Apps environment, with the cache share that its apps may mount.

import { tagsType } from '../types.bicep'

@description('Name of the environment.')
@minLength(2)
@maxLength(60)
param name string

@description('Region.')
param location string

@description('Resource id of the subnet; empty: the environment has a network of its own.')
param subnetId string

@description('Whether apps with an external ingress are reached from the internet. Not with a subnet: the environment is internal.')
param publicAccess bool

@description('Whether replicas are spread over the zones of the region. Needs a subnet.')
param zoneRedundant bool

@description('Resource id of the identity that reads the key of the share.')
param identityId string

@description('Name that the apps mount the share by.')
param storageName string

@description('Name of the storage account.')
param storageAccountName string

@description('Name of the share in it.')
param shareName string

@description('Address of its key in the vault.')
param storageKeyUrl string

@description('Resource id of the Log Analytics workspace.')
param workspaceId string

@description('Tags.')
param tags tagsType

resource environment 'Microsoft.App/managedEnvironments@2025-07-01' = {
  name: name
  location: location
  tags: tags
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    // By the diagnostic setting below: that needs no key of the workspace.
    appLogsConfiguration: { destination: 'azure-monitor' }
    workloadProfiles: [{ name: 'Consumption', workloadProfileType: 'Consumption' }]
    zoneRedundant: zoneRedundant
    // The console alone is called from outside. An internal environment knows `Disabled` only, and is reached from the network:
    // https://learn.microsoft.com/azure/container-apps/networking#public-network-access
    publicNetworkAccess: publicAccess ? 'Enabled' : 'Disabled'
    vnetConfiguration: empty(subnetId) ? null : { infrastructureSubnetId: subnetId, internal: true }
  }
}

resource storage 'Microsoft.App/managedEnvironments/storages@2025-07-01' = {
  parent: environment
  name: storageName
  properties: {
    azureFile: {
      accountName: storageAccountName
      shareName: shareName
      accessMode: 'ReadWrite'
      accountKeyVaultProperties: { identity: identityId, keyVaultUrl: storageKeyUrl }
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: environment
  name: 'to-log-analytics'
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [
      { category: 'ContainerAppConsoleLogs', enabled: true }
      { category: 'ContainerAppSystemLogs', enabled: true }
    ]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('End of the names of the apps that have an ingress.')
output defaultDomain string = environment.properties.defaultDomain

@description('Address of the environment.')
output staticIp string = environment.properties.staticIp
