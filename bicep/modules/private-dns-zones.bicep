// The private DNS zones of the services that have private endpoints, linked to the network.

import { tagsType } from '../types.bicep'

@description('Names of the zones.')
param zones string[]

@description('Name of the links.')
param linkName string

@description('Resource id of the network.')
param networkId string

@description('Tags.')
param tags tagsType

resource dnsZones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in zones: {
    name: zone
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zone, i) in zones: {
    parent: dnsZones[i]
    name: linkName
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: networkId }
    }
  }
]
