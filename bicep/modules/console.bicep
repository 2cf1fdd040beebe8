// The operator's web console. People sign in with Entra ID, at the platform's authentication in front of the container; what
// they may do is an app role of the app registration, `view` or `operate`, which the console reads from the platform's headers.

import { consoleType, tagsType } from '../types.bicep'

@description('Name of the app.')
@minLength(2)
@maxLength(32)
param name string

@description('Region.')
param location string

@description('Resource id of the environment.')
param environmentId string

@description('Address that browsers use.')
@minLength(9)
param url string

@description('Who signs in.')
param settings consoleType

@description('Image of the operator\'s program, with its tag.')
param image string

@description('Host name of the registry.')
param registryServer string

@description('Resource id of the console\'s own identity.')
param identityId string

@description('Client id of the console\'s own identity.')
param identityClientId string

@description('Resource id of the identity that pulls the image.')
param platformIdentityId string

@description('Variables of the program, besides those of the sign-in.')
param variables tagsType

@description('Tags.')
param tags tagsType

var port = 8088
// It answers without a sign-in, and says no more than that the process is running.
var livenessPath = '/health/live'

// `entra` trusts the headers of the sign-in below, which nobody else can send: they are removed from requests that come from
// outside (https://learn.microsoft.com/azure/container-apps/authentication#access-user-claims-in-application-code).
var program = union(variables, { CONSOLE_SIGN_IN: 'entra', CONSOLE_URL: url, JSON_LOGS: 'true' })
// The client id and the URL are values of the deployment: the names must be known before it.
var names = concat(
  ['AZURE_CLIENT_ID', 'CONSOLE_SIGN_IN', 'CONSOLE_URL', 'JSON_LOGS'],
  map(filter(items(variables), entry => !empty(entry.value)), entry => entry.key)
)

resource app 'Microsoft.App/containerApps@2025-07-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {}, '${platformIdentityId}': {} }
  }
  properties: {
    environmentId: environmentId
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      maxInactiveRevisions: 10
      identitySettings: [
        { identity: identityId, lifecycle: 'Main' }
        { identity: platformIdentityId, lifecycle: 'None' }
      ]
      registries: [{ server: registryServer, identity: platformIdentityId }]
      ingress: {
        // Outside of the environment: the internet, or the virtual network if the environment is internal.
        external: true
        targetPort: port
        transport: 'http'
        // HTTP is redirected to HTTPS.
        allowInsecure: false
        ipSecurityRestrictions: [
          for (range, i) in settings.?allowedAddresses ?? []: {
            name: 'allowed-${i}'
            action: 'Allow'
            ipAddressRange: range
          }
        ]
      }
    }
    template: {
      containers: [
        {
          name: 'console'
          image: image
          args: ['console', '--listen', '0.0.0.0:${port}']
          // As the job `maintain`, whose work can be started here.
          resources: { cpu: json('1.0'), memory: '2Gi' }
          env: [
            for variable in names: {
              name: variable
              value: variable == 'AZURE_CLIENT_ID' ? identityClientId : program[variable]
            }
          ]
          // A broker that does not answer is shown on the pages: restarting the console, or sending no requests to it, would not help.
          probes: [
            {
              type: 'Startup'
              httpGet: { path: livenessPath, port: port, scheme: 'HTTP' }
              periodSeconds: 1
              timeoutSeconds: 1
              failureThreshold: 60
            }
            {
              type: 'Liveness'
              httpGet: { path: livenessPath, port: port, scheme: 'HTTP' }
              periodSeconds: 10
              timeoutSeconds: 5
              failureThreshold: 3
            }
            {
              type: 'Readiness'
              httpGet: { path: livenessPath, port: port, scheme: 'HTTP' }
              periodSeconds: 5
              timeoutSeconds: 5
              failureThreshold: 3
            }
          ]
        }
      ]
      scale: {
        // The first request starts it. One at most: started actions, recent positions and the keys of forms are in its memory.
        minReplicas: 0
        maxReplicas: 1
        pollingInterval: 30
        cooldownPeriod: 300
        rules: [{ name: 'http', http: { metadata: { concurrentRequests: '100' } } }]
      }
    }
  }
}

// https://learn.microsoft.com/azure/container-apps/authentication-entra. Without a client secret the platform asks for an ID
// token alone (`response_type=id_token`), which is all that the console needs. A managed identity in the place of the secret
// is not documented for Container Apps, and reported not to work: https://github.com/microsoft/azure-container-apps/issues/1693.
resource signIn 'Microsoft.App/containerApps/authConfigs@2025-07-01' = {
  parent: app
  name: 'current'
  properties: {
    platform: { enabled: true }
    globalValidation: {
      unauthenticatedClientAction: 'RedirectToLoginPage'
      redirectToProvider: 'azureactivedirectory'
      excludedPaths: [livenessPath]
    }
    httpSettings: { requireHttps: true }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: settings.clientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${settings.?tenantId ?? tenant().tenantId}/v2.0'
        }
        validation: { allowedAudiences: [settings.clientId] }
      }
    }
  }
}
