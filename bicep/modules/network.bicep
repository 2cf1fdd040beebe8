// The virtual network of the private variant: a subnet for the container apps, one for private endpoints, and the names
// that lead to them.

import { networkType, tagsType } from '../types.bicep'

@description('Name of the network.')
param name string

@description('Region.')
param location string

@description('Addresses.')
param settings networkType

@description('DNS zones of the services that have private endpoints.')
param zones string[]

@description('Tags.')
param tags tagsType

resource appsGroup 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: 'nsg-${name}-apps'
  location: location
  tags: tags
  // The default rules: in from the network alone, out to everywhere. The attachment hosts are on the internet, and
  // which of them may be asked is the handlers' own check.
  properties: {}
}

resource endpointsGroup 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: 'nsg-${name}-endpoints'
  location: location
  tags: tags
  properties: {}
}

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [settings.addressPrefix] }
    subnets: [
      {
        name: 'apps'
        properties: {
          addressPrefix: settings.appsPrefix
          networkSecurityGroup: { id: appsGroup.id }
          delegations: [
            { name: 'container-apps', properties: { serviceName: 'Microsoft.App/environments' } }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: settings.endpointsPrefix
          networkSecurityGroup: { id: endpointsGroup.id }
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }
}

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
    name: name
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: network.id }
    }
  }
]
