// The Event Hubs namespace, one event hub for each topic, and who may read and write which.

import { accessType, eventHubsType, stageType, tagsType, topicType } from '../types.bicep'

@description('Name of the namespace.')
@minLength(6)
@maxLength(50)
param name string

@description('Region.')
param location string

@description('Tier and size.')
param settings eventHubsType

@description('Throughput units that the namespace has now; 0: there is none.')
param currentCapacity int

@description('The topics.')
param topics topicType[]

@description('The stages.')
param stages stageType[]

@description('Resource ids of the stages\' identities, in the order of the stages.')
param identityIds string[]

@description('Object ids of the stages\' identities, in the order of the stages.')
param principalIds string[]

@description('What the operator\'s programs, the jobs and the console, may do with every topic.')
param operators { identityId: string, principalId: string, role: 'receive' | 'send' }[]

@description('Who else may send or operate.')
param access accessType[]

@description('Whether keys are accepted. Only the scaler uses one.')
param allowsKeys bool

@description('Whether the namespace is reached from outside of the virtual network.')
param publicAccess bool

@description('Resource id of the Log Analytics workspace.')
param workspaceId string

@description('Tags.')
param tags tagsType

// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/analytics
var roles = {
  receive: 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde' // Azure Event Hubs Data Receiver
  send: '2b629674-e913-4c01-ae53-ef4638d8f975' // Azure Event Hubs Data Sender
}

var isStandard = settings.sku == 'Standard'
var maximum = settings.?maximumCapacity ?? settings.capacity
var inflates = isStandard && maximum > settings.capacity

resource namespace 'Microsoft.EventHub/namespaces@2026-01-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: settings.sku
    tier: settings.sku
    capacity: inflates ? max(settings.capacity, min(currentCapacity, maximum)) : settings.capacity
  }
  properties: {
    kafkaEnabled: true
    minimumTlsVersion: '1.2'
    disableLocalAuth: !allowsKeys
    publicNetworkAccess: publicAccess ? 'Enabled' : 'Disabled'
    isAutoInflateEnabled: inflates
    maximumThroughputUnits: inflates ? maximum : 0
  }
}

// One after the other: the namespace refuses changes while another one is under way.
@batchSize(1)
resource hubs 'Microsoft.EventHub/namespaces/eventhubs@2026-01-01' = [
  for topic in topics: {
    parent: namespace
    name: topic.name
    properties: {
      partitionCount: topic.partitions
      retentionDescription: {
        cleanupPolicy: 'Delete'
        retentionTimeInHours: topic.retentionHours[settings.sku]
      }
    }
  }
]

// ------------------------------------------------------------------------------------------------------- who may what

var topicNumbers = range(0, length(topics))

// Every pair of a stage and a topic that it reads, then every pair of a stage and a topic that it writes.
var receives = flatten(map(
  range(0, length(stages)),
  stage =>
    map(filter(topicNumbers, topic => topics[topic].role == stages[stage].consumes), topic => {
      stage: stage
      topic: topic
      role: roles.receive
    })
))
var sends = flatten(map(
  range(0, length(stages)),
  stage =>
    map(filter(topicNumbers, topic => contains(stages[stage].produces, topics[topic].role)), topic => {
      stage: stage
      topic: topic
      role: roles.send
    })
))
var grants = concat(receives, sends)

// The identity's resource id, not its object id, names the assignment: that is known before anything is deployed, so that
// `what-if` shows only what changes. README.md says what to do when an identity is made again, which has another object id.
resource stageRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in grants: {
    scope: hubs[grant.topic]
    name: guid(hubs[grant.topic].id, identityIds[grant.stage], grant.role)
    properties: {
      principalId: principalIds[grant.stage]
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
    }
  }
]

resource programRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for operator in operators: {
    scope: namespace
    name: guid(namespace.id, operator.identityId, roles[operator.role])
    properties: {
      principalId: operator.principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[operator.role])
    }
  }
]

var rawTopic = first(filter(topicNumbers, topic => topics[topic].role == 'raw')) ?? 0
var senders = filter(access, entry => entry.role == 'sendEvents')

resource senderRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for sender in senders: {
    scope: hubs[rawTopic]
    name: guid(hubs[rawTopic].id, sender.principalId, roles.send)
    properties: {
      principalId: sender.principalId
      principalType: sender.principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.send)
    }
  }
]

var operatorGrants = flatten(map(
  filter(access, entry => entry.role == 'operate'),
  operator => map([roles.receive, roles.send], role => { operator: operator, role: role })
))

resource operatorRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in operatorGrants: {
    scope: namespace
    name: guid(namespace.id, grant.operator.principalId, grant.role)
    properties: {
      principalId: grant.operator.principalId
      principalType: grant.operator.principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
    }
  }
]

// ------------------------------------------------------------------------------------------------------------ its logs

var logCategories = concat(
  ['OperationalLogs', 'AutoScaleLogs', 'KafkaCoordinatorLogs', 'KafkaUserErrorLogs', 'EventHubVNetConnectionEvent'],
  // Premium alone tells who read what, and how far each consumer group is behind.
  isStandard ? [] : ['RuntimeAuditLogs', 'ApplicationMetricsLogs']
)

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: namespace
  name: 'to-log-analytics'
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [for category in logCategories: { category: category, enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
