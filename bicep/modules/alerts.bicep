// What somebody is told of: dead letters, lag, stages that are not ready, a scaler that fails, throttling, a full cache.

import { alertsType, tagsType } from '../types.bicep'

@description('Start of the names.')
param prefix string

@description('Region of the log alerts.')
param location string

@description('Who is told, and when.')
param settings alertsType

@description('Resource id of the Event Hubs namespace.')
param namespaceId string

@description('Topic of the dead letters.')
param deadLetterTopic string

@description('The container apps with the replicas that they may have. None before the first images are there.')
param apps { name: string, maxReplicas: int }[]

@description('Resource id of the storage account of the cache.')
param storageAccountId string

@description('Quota of the cache share in GiB.')
param cacheGiB int

@description('Resource id of the Log Analytics workspace.')
param workspaceId string

@description('Tags.')
param tags tagsType

var tellsSomebody = !empty(settings.emails)

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (tellsSomebody) {
  name: 'ag-${prefix}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: take(replace(prefix, '-', ''), 12)
    enabled: true
    emailReceivers: [
      for (address, i) in settings.emails: { name: 'mail-${i}', emailAddress: address, useCommonAlertSchema: true }
    ]
  }
}

var actions = tellsSomebody ? [{ actionGroupId: people.id }] : []

// ------------------------------------------------------------------------------------------------------- dead letters

// A replayed or resolved dead letter leaves a mark in the same topic: many of them at once count as well.
var deadLetterAlerts = [
  { name: 'dead-letters', severity: 2, perMinute: settings.deadLettersWarning }
  { name: 'dead-letters-many', severity: 1, perMinute: settings.deadLettersCritical }
]

resource deadLetters 'Microsoft.Insights/metricAlerts@2026-01-01' = [
  for alert in deadLetterAlerts: {
    name: '${prefix}-${alert.name}'
    location: 'global'
    tags: tags
    properties: {
      description: 'More than ${alert.perMinute} dead letters a minute for five minutes. `xact-pipeline dlq list` shows them.'
      severity: alert.severity
      enabled: true
      scopes: [namespaceId]
      evaluationFrequency: 'PT1M'
      windowSize: 'PT5M'
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: 'dead letters'
            metricNamespace: 'Microsoft.EventHub/namespaces'
            metricName: 'IncomingMessages'
            dimensions: [{ name: 'EntityName', operator: 'Include', values: [deadLetterTopic] }]
            timeAggregation: 'Total'
            operator: 'GreaterThan'
            threshold: alert.perMinute * 5
          }
        ]
      }
      autoMitigate: true
      actions: actions
    }
  }
]

// ---------------------------------------------------------------------------------------------------------------- lag

// Event Hubs has no metric of it in the Standard tier; but the scaler makes replicas of it: a stage that has all it may
// have is behind by more than its threshold times one replica less.
resource lag 'Microsoft.Insights/metricAlerts@2026-01-01' = [
  for app in apps: {
    name: '${prefix}-lag-${app.name}'
    location: 'global'
    tags: tags
    properties: {
      description: '${app.name} has been scaled out as far as it goes for ${settings.lagMinutes} minutes and is still behind. `xact-pipeline topics lag` says how far.'
      severity: 2
      enabled: true
      scopes: [resourceId('Microsoft.App/containerApps', app.name)]
      evaluationFrequency: 'PT5M'
      windowSize: settings.lagMinutes == 60 ? 'PT1H' : 'PT${settings.lagMinutes}M'
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: 'replicas'
            metricNamespace: 'Microsoft.App/containerapps'
            metricName: 'Replicas'
            // Each revision by itself: the former one has none.
            dimensions: [{ name: 'revisionName', operator: 'Include', values: ['*'] }]
            timeAggregation: 'Minimum'
            operator: 'GreaterThanOrEqual'
            threshold: app.maxReplicas
          }
        ]
      }
      autoMitigate: true
      actions: actions
    }
  }
]

// --------------------------------------------------------------------------------------------------------- the servers

resource throttled 'Microsoft.Insights/metricAlerts@2026-01-01' = {
  name: '${prefix}-throttled'
  location: 'global'
  tags: tags
  properties: {
    description: 'Event Hubs slows the stages down: the namespace needs more throughput or processing units.'
    severity: 3
    enabled: true
    scopes: [namespaceId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'throttled requests'
          metricNamespace: 'Microsoft.EventHub/namespaces'
          metricName: 'ThrottledRequests'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    autoMitigate: true
    actions: actions
  }
}

var bytesOfGiB = 1024 * 1024 * 1024

resource cacheFull 'Microsoft.Insights/metricAlerts@2026-01-01' = {
  name: '${prefix}-cache-full'
  location: 'global'
  tags: tags
  properties: {
    description: 'The cache share is over 80 % full; at 90 % the download stage pauses. Is the upload stage behind?'
    severity: 2
    enabled: true
    scopes: ['${storageAccountId}/fileServices/default']
    evaluationFrequency: 'PT15M'
    // The metric comes once an hour.
    windowSize: 'PT1H'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'used bytes'
          metricNamespace: 'Microsoft.Storage/storageAccounts/fileServices'
          metricName: 'FileCapacity'
          timeAggregation: 'Average'
          operator: 'GreaterThan'
          threshold: cacheGiB * bytesOfGiB / 10 * 8
        }
      ]
    }
    autoMitigate: true
    actions: actions
  }
}

// ------------------------------------------------------------------------------------------------------------ the logs

var logAlerts = [
  {
    name: 'not-ready'
    description: 'A replica has been not ready for ten minutes: a dependency is down. The alert\'s query has the reason.'
    severity: 2
    // The handlers log each change of a component once, and when they stop.
    query: '''
      let replicas = ContainerAppConsoleLogs
        | where Log has_any ("ready", "stopping")
        | extend line = parse_json(Log)
        | extend message = tostring(line.message);
      let stopped = replicas | where message startswith "stopping:" | distinct ContainerGroupName;
      replicas
      | where message in ("ready", "not ready")
      | summarize arg_max(TimeGenerated, message, reason = tostring(line.reason))
          by ContainerAppName, ContainerGroupName, component = tostring(line.component)
      | where message == "not ready" and TimeGenerated < ago(10m)
      | join kind=leftanti stopped on ContainerGroupName
    '''
    window: 'PT1H'
  }
  {
    name: 'scaler'
    description: 'KEDA cannot ask for the lag: a stage keeps its replicas as they are, or does not wake.'
    severity: 1
    query: '''
      ContainerAppSystemLogs
      | where EventSource == "KEDA" and Reason endswith "Failed"
      | summarize count() by ContainerAppName, Reason, Log
    '''
    window: 'PT15M'
  }
]

resource logs 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for alert in logAlerts: {
    name: '${prefix}-${alert.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${prefix}-${alert.name}'
      description: alert.description
      severity: alert.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: 'PT5M'
      windowSize: alert.window
      criteria: {
        allOf: [
          {
            query: alert.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: [{ name: 'ContainerAppName', operator: 'Include', values: ['*'] }]
            // Once may be a rebalance or a deployment.
            failingPeriods: { numberOfEvaluationPeriods: 2, minFailingPeriodsToAlert: 2 }
          }
        ]
      }
      autoMitigate: true
      // A new workspace has the tables only when the first line has come.
      skipQueryValidation: true
      actions: { actionGroups: tellsSomebody ? [people.id] : [] }
    }
  }
]
