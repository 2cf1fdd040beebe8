// A command of the operator's program, on a schedule or on demand.

import { tagsType } from '../types.bicep'

@description('Name of the job.')
@minLength(2)
@maxLength(32)
param name string

@description('Region.')
param location string

@description('Resource id of the environment.')
param environmentId string

@description('When it runs: five fields of cron, in UTC; `manual`: when it is started.')
@minLength(6)
param schedule string

@description('The command.')
param arguments string[]

@description('Cores.')
param cores string

@description('Memory: 2 GiB a core.')
param memory string

@description('Seconds after which an execution is stopped and has failed. Less than the schedule\'s interval: an execution that is due starts also while the one before runs.')
@minValue(60)
@maxValue(7200)
param timeoutSeconds int

@description('How often a failed execution is repeated.')
@minValue(0)
@maxValue(3)
param retries int

@description('Image of the operator\'s program, with its tag.')
param image string

@description('Host name of the registry.')
param registryServer string

@description('Resource id of the job\'s own identity.')
param identityId string

@description('Client id of the job\'s own identity.')
param identityClientId string

@description('Resource id of the identity that pulls the image.')
param platformIdentityId string

@description('Variables of the program.')
param variables tagsType

@description('Tags.')
param tags tagsType

// The client id is a value of the deployment: the names of the others must be known before it.
var names = map(filter(items(variables), entry => !empty(entry.value)), entry => entry.key)

// https://learn.microsoft.com/azure/container-apps/jobs
resource job 'Microsoft.App/jobs@2025-07-01' = {
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
      triggerType: schedule == 'manual' ? 'Manual' : 'Schedule'
      // `parallelism` counts the replicas of one execution; it does not keep executions from overlapping:
      // https://github.com/microsoft/azure-container-apps/issues/1271
      scheduleTriggerConfig: schedule == 'manual'
        ? null
        : { cronExpression: schedule, parallelism: 1, replicaCompletionCount: 1 }
      manualTriggerConfig: schedule == 'manual' ? { parallelism: 1, replicaCompletionCount: 1 } : null
      replicaTimeout: timeoutSeconds
      replicaRetryLimit: retries
      identitySettings: [
        { identity: identityId, lifecycle: 'Main' }
        { identity: platformIdentityId, lifecycle: 'None' }
      ]
      registries: [{ server: registryServer, identity: platformIdentityId }]
    }
    template: {
      containers: [
        {
          name: 'pipeline'
          image: image
          args: arguments
          resources: { cpu: json(cores), memory: memory }
          env: [
            for variable in concat(['AZURE_CLIENT_ID'], names): {
              name: variable
              value: variable == 'AZURE_CLIENT_ID' ? identityClientId : variables[variable]
            }
          ]
        }
      ]
    }
  }
}
