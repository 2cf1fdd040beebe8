// How KEDA's kafka scaler logs on to Event Hubs, for each of the three ways. Functions alone: main.bicep, the container
// apps and the vault's secrets all follow from the same table.

import { scalerAuthenticationType, scalerType } from '../types.bicep'

// `sasl`, `tls` and `saslTokenProvider` may stand in the metadata. Everything else of a logon is read from secrets alone,
// also what is none, such as an address or the constant `$ConnectionString`.
var metadata = {
  sas: { sasl: 'plaintext', tls: 'enable' }
  servicePrincipal: { sasl: 'oauthbearer', saslTokenProvider: 'bearer', tls: 'enable' }
  // As https://github.com/kedacore/keda/pull/8070 proposes it: KEDA has no Azure identity for Kafka yet.
  identity: { sasl: 'oauthbearer', saslTokenProvider: 'azure_workload_identity', tls: 'enable' }
}

var parameters = {
  sas: ['username', 'password']
  servicePrincipal: ['username', 'password', 'scopes', 'oauthTokenEndpointUri']
  identity: ['scopes']
}

@export()
@description('Name of the secret that fills a parameter of the scaler, in the vault and in the container apps.')
func secretName(parameter string) string =>
  parameter == 'oauthTokenEndpointUri' ? 'scaler-token-endpoint' : 'scaler-${parameter}'

@export()
@description('The secrets that must be in the vault.')
func secretNames(authentication scalerAuthenticationType) string[] =>
  map(parameters[authentication], parameter => secretName(parameter))

@export()
@description('The logon of every scale rule.')
func logon(authentication scalerAuthenticationType, identityId string) scalerType => {
  metadata: metadata[authentication]
  auth: map(parameters[authentication], parameter => {
    secretRef: secretName(parameter)
    triggerParameter: parameter
  })
  identity: authentication == 'identity' ? identityId : ''
}
