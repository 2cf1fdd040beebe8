// The virtual network of the private variant, unless there is one: a subnet for the container apps, one for private
// endpoints.

import { networkType, tagsType } from '../types.bicep'

@description('Name of the network.')
param name string

@description('Region.')
param location string

@description('Addresses.')
param settings networkType

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
    addressSpace: { addressPrefixes: [settings.?addressPrefix ?? fail('network.addressPrefix is missing')] }
    subnets: [
      {
        name: 'apps'
        properties: {
          addressPrefix: settings.?appsPrefix ?? fail('network.appsPrefix is missing')
          networkSecurityGroup: { id: appsGroup.id }
          delegations: [
            { name: 'container-apps', properties: { serviceName: 'Microsoft.App/environments' } }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: settings.?endpointsPrefix ?? fail('network.endpointsPrefix is missing')
          networkSecurityGroup: { id: endpointsGroup.id }
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }
}
