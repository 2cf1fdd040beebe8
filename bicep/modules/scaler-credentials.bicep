// What the scaler logs on with: made here, written into the vault here, and seen by nobody on the way.

import { scalerAuthenticationType, servicePrincipalType, tagsType } from '../types.bicep'
import { secretName, secretNames } from 'scaler-logon.bicep'

@description('Name of the Event Hubs namespace.')
param namespaceName string

@description('Name of the vault.')
param vaultName string

@description('How the scaler logs on.')
param authentication scalerAuthenticationType

@description('The service principal, if that is how.')
param principal servicePrincipalType?

@description('Its secret. Not needed once the vault has it.')
@secure()
param principalSecret string

@description('Resource id of the identity that reads the secrets, and with `identity` the lag.')
param identityId string

@description('Object id of that identity.')
param identityPrincipalId string

@description('Tags.')
param tags tagsType

var receiverRole = 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde' // Azure Event Hubs Data Receiver
var secretsUserRole = '4633458b-17de-408a-b874-0445c86b69e6' // Key Vault Secrets User

resource namespace 'Microsoft.EventHub/namespaces@2026-01-01' existing = {
  name: namespaceName
}

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

// Of the whole namespace, since it looks at nearly every topic; to listen is all that it may.
resource rule 'Microsoft.EventHub/namespaces/authorizationRules@2026-01-01' = if (authentication == 'sas') {
  parent: namespace
  name: 'scaler'
  properties: { rights: ['Listen'] }
}

resource username 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (authentication != 'identity') {
  parent: vault
  name: secretName('username')
  tags: tags
  properties: {
    #disable-next-line use-secure-value-for-secure-inputs // A constant or an id; the scaler takes it from a secret alone.
    value: authentication == 'sas' ? '$ConnectionString' : principal!.clientId
  }
}

resource connectionString 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (authentication == 'sas') {
  parent: vault
  name: secretName('password')
  tags: tags
  properties: { value: rule!.listKeys().primaryConnectionString }
}

resource password 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (authentication == 'servicePrincipal' && !empty(principalSecret)) {
  parent: vault
  name: secretName('password')
  tags: tags
  properties: { value: principalSecret }
}

resource tokenEndpoint 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (authentication == 'servicePrincipal') {
  parent: vault
  name: secretName('oauthTokenEndpointUri')
  tags: tags
  properties: {
    #disable-next-line use-secure-value-for-secure-inputs // No secret; the scaler takes it from a secret alone.
    value: '${environment().authentication.loginEndpoint}${principal!.tenantId}/oauth2/v2.0/token'
  }
}

resource scopes 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (authentication != 'sas') {
  parent: vault
  name: secretName('scopes')
  tags: tags
  properties: {
    #disable-next-line use-secure-value-for-secure-inputs // No secret; the scaler takes it from a secret alone.
    value: 'https://${namespaceName}.servicebus.windows.net/.default'
  }
}

// Secret by secret: this identity may not read the others of the vault.
resource readable 'Microsoft.KeyVault/vaults/secrets@2025-05-01' existing = [
  for name in secretNames(authentication): {
    parent: vault
    name: name
  }
]

resource readers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, i) in secretNames(authentication): {
    scope: readable[i]
    name: guid(vault.id, name, identityId, secretsUserRole)
    properties: {
      principalId: identityPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUserRole)
    }
    dependsOn: [username, connectionString, password, tokenEndpoint, scopes]
  }
]

resource lagReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (authentication != 'sas') {
  scope: namespace
  name: guid(namespace.id, authentication == 'identity' ? identityId : principal!.objectId, receiverRole)
  properties: {
    principalId: authentication == 'identity' ? identityPrincipalId : principal!.objectId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', receiverRole)
  }
}
