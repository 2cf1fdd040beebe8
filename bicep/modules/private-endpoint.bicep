// A private endpoint of one service, and the record in its DNS zone.

import { tagsType } from '../types.bicep'

@description('Name of the endpoint.')
param name string

@description('Region.')
param location string

@description('Resource id of the service.')
param serviceId string

@description('Which part of the service: its group id.')
param group 'namespace' | 'vault' | 'file' | 'registry'

@description('Resource id of the subnet.')
param subnetId string

@description('Resource id of the DNS zone of the service; empty: somebody else makes the record.')
param zoneId string

@description('Tags.')
param tags tagsType

resource endpoint 'Microsoft.Network/privateEndpoints@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    customNetworkInterfaceName: 'nic-${name}'
    privateLinkServiceConnections: [
      { name: group, properties: { privateLinkServiceId: serviceId, groupIds: [group] } }
    ]
  }
}

resource record 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = if (!empty(zoneId)) {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [{ name: group, properties: { privateDnsZoneId: zoneId } }]
  }
}
