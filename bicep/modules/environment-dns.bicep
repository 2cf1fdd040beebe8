// The names of the apps of an internal environment, for clients in the virtual network: nobody else resolves them.
// https://learn.microsoft.com/azure/container-apps/private-endpoints-and-dns

import { tagsType } from '../types.bicep'

@description('Default domain of the environment.')
param domain string

@description('Address of the environment in the network.')
param address string

@description('Name of the link.')
param linkName string

@description('Resource id of the network.')
param networkId string

@description('Tags.')
param tags tagsType

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: domain
  location: 'global'
  tags: tags
}

resource apps 'Microsoft.Network/privateDnsZones/A@2024-06-01' = {
  parent: zone
  name: '*'
  properties: { ttl: 3600, aRecords: [{ ipv4Address: address }] }
}

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = {
  parent: zone
  name: linkName
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: { id: networkId }
  }
}
