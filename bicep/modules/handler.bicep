// One stage as a container app: the same for all seven, told apart by its row of the topology alone.

import { scalerType, secretReferenceType, stageSizeType, stageType, tagsType, topicType } from '../types.bicep'

@description('Name of the app.')
@minLength(2)
@maxLength(32)
param name string

@description('Region.')
param location string

@description('Resource id of the environment.')
param environmentId string

@description('The stage.')
param stage stageType

@description('The topics that it reads.')
@minLength(1)
param topics topicType[]

@description('Cores and least replicas.')
param size stageSizeType

@description('Image of the handler, with its tag.')
param image string

@description('Host name of the registry.')
param registryServer string

@description('Resource id of the stage\'s own identity: the one that the handler is to Event Hubs and OneLake.')
param identityId string

@description('Client id of the stage\'s own identity.')
param identityClientId string

@description('Resource id of the identity that pulls the image, reads the secrets and asks for the lag. The handler itself cannot use it.')
param platformIdentityId string

@description('Host and port of the Event Hubs namespace.')
param bootstrapServers string

@description('How the scaler logs on.')
param scaler scalerType

@description('The secrets that the scaler logs on with.')
param secrets secretReferenceType[]

@description('Variables of the handler that are not of every handler.')
param variables tagsType

@description('Name of the environment\'s storage for the cache, if the stage mounts it.')
param cacheStorageName string

@description('Longest drain after SIGTERM, in seconds.')
@minValue(1)
@maxValue(595)
param shutdownGraceSeconds int

@description('Tags.')
param tags tagsType

var metricsPort = 8000
var cacheFolder = '/cache'
// User and group of the images: the share belongs to them, and to nobody else.
var user = 65532

// Of the Consumption profile: 2 GiB a core, nothing else is allowed.
var memory = {
  '0.25': '0.5Gi'
  '0.5': '1Gi'
  '0.75': '1.5Gi'
  '1.0': '2Gi'
  '1.25': '2.5Gi'
  '1.5': '3Gi'
  '1.75': '3.5Gi'
  '2.0': '4Gi'
}

var settings = union(
  {
    JSON_LOGS: 'true'
    METRICS_PORT: string(metricsPort)
    SHUTDOWN_GRACE_SECONDS: string(shutdownGraceSeconds)
  },
  stage.cache ? { CACHE_DIR: cacheFolder } : {},
  variables
)
// A variable that is set to nothing says the same as one that is not set, but clutters the portal.
var names = map(filter(items(settings), entry => !empty(entry.value)), entry => entry.key)

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
      // One revision at a time; while it is replaced, both share the group and its partitions.
      activeRevisionsMode: 'Single'
      maxInactiveRevisions: 10
      identitySettings: [
        { identity: identityId, lifecycle: 'Main' }
        // For the platform alone: the handler gets no token of it, and so neither secrets nor other stages' topics.
        { identity: platformIdentityId, lifecycle: 'None' }
      ]
      registries: [{ server: registryServer, identity: platformIdentityId }]
      secrets: [
        for secret in secrets: {
          name: secret.name
          keyVaultUrl: secret.keyVaultUrl
          identity: platformIdentityId
        }
      ]
    }
    template: {
      // The handler's own drain, and time for its last word.
      terminationGracePeriodSeconds: shutdownGraceSeconds + 5
      containers: [
        {
          name: stage.name
          image: image
          resources: { cpu: json(size.cores), memory: memory[size.cores] }
          env: [
            for variable in concat(['AZURE_CLIENT_ID'], names): {
              name: variable
              value: variable == 'AZURE_CLIENT_ID' ? identityClientId : settings[variable]
            }
          ]
          volumeMounts: stage.cache ? [{ volumeName: 'cache', mountPath: cacheFolder }] : []
          // All three are named: without an ingress the platform adds none of its own.
          probes: [
            {
              type: 'Startup'
              httpGet: { path: '/health/live', port: metricsPort, scheme: 'HTTP' }
              periodSeconds: 1
              timeoutSeconds: 1
              failureThreshold: 60
            }
            {
              type: 'Liveness'
              httpGet: { path: '/health/live', port: metricsPort, scheme: 'HTTP' }
              periodSeconds: 10
              timeoutSeconds: 5
              failureThreshold: 3
            }
            {
              // A dependency that is down makes it not ready, and is no reason to restart it.
              type: 'Readiness'
              httpGet: { path: '/health/ready', port: metricsPort, scheme: 'HTTP' }
              periodSeconds: 5
              timeoutSeconds: 5
              successThreshold: 1
              failureThreshold: 3
            }
          ]
        }
      ]
      volumes: stage.cache
        ? [
            {
              name: 'cache'
              storageType: 'AzureFile'
              storageName: cacheStorageName
              mountOptions: 'uid=${user},gid=${user},dir_mode=0700,file_mode=0600'
            }
          ]
        : []
      scale: {
        minReplicas: size.minReplicas
        // One more would have no partition to read.
        maxReplicas: max(map(topics, topic => topic.partitions))
        pollingInterval: 30
        cooldownPeriod: 300
        // One rule for each topic: without a topic the scaler counts every topic of the namespace for a new group. With
        // several rules the one that wants the most replicas decides.
        rules: [
          for topic in topics: {
            name: replace(topic.name, '.', '-')
            custom: {
              type: 'kafka'
              // Strings, all of them.
              metadata: union(
                {
                  bootstrapServers: bootstrapServers
                  consumerGroup: stage.group
                  topic: topic.name
                  lagThreshold: string(stage.lagThreshold)
                  // Any lag wakes the stage.
                  activationLagThreshold: '0'
                  // A group without a position begins at the start: what waits there is lag. With `latest` an empty
                  // topic would count as lag for ever.
                  offsetResetPolicy: 'earliest'
                  // With `true` a new group would never wake.
                  scaleToZeroOnInvalidOffset: 'false'
                  allowIdleConsumers: 'false'
                  limitToPartitionsWithLag: 'true'
                  // Event Hubs answers no newer requests.
                  version: '1.0.0'
                },
                scaler.metadata
              )
              auth: scaler.auth
              identity: empty(scaler.identity) ? null : scaler.identity
            }
          }
        ]
      }
    }
  }
}
