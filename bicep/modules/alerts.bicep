// The alerts on what Azure reports: dead letters, lag, Event Hubs and the cache by metrics; replicas, revisions, scale rules
// and secrets by logs. And those of monitoring/alerts.yaml, on what the pipeline itself reports.

import { alertDefinitionsType, alertSourceType, alertsType, tagsType } from '../types.bicep'

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

@description('The container apps with the replicas that they may have. One that holds messages until they are due has lag by design. None before the first images are there.')
param apps { name: string, maxReplicas: int, holdsMessages: bool }[]

@description('Resource id of the storage account of the cache.')
param storageAccountId string

@description('Quota of the cache share in GiB.')
param cacheGiB int

@description('Resource id of the Log Analytics workspace.')
param workspaceId string

@description('What the handlers and jobs of this deployment report: an alert on anything else is left out.')
param sources alertSourceType[]

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

var definitions alertDefinitionsType = loadYamlContent('../monitoring/alerts.yaml')

// Each alert ends its description with the address of its runbook.
var runbooks = settings.?runbooks ?? definitions.runbooks
func runbookOf(runbooks string, page string, alert string) string => 'Runbook: ${runbooks}/${page}#${alert}'

// ------------------------------------------------------------------------------------------------------- dead letters

// A replayed or resolved dead letter leaves a mark in the same topic, which counts as well.
var deadLetterAlerts = [
  {
    name: 'dead-letter'
    runbook: 'dead-letters.md'
    severity: 3
    description: 'At least one dead letter in an hour. On Event Hubs Standard it expires after seven days.'
    threshold: 0
    frequency: 'PT5M'
    window: 'PT1H'
  }
  {
    name: 'dead-letters-warning'
    runbook: 'dead-letters.md'
    severity: 2
    description: 'More than ${settings.deadLettersWarning} dead letters a minute for five minutes.'
    threshold: settings.deadLettersWarning * 5
    frequency: 'PT1M'
    window: 'PT5M'
  }
  {
    name: 'dead-letters-critical'
    runbook: 'dead-letters.md'
    severity: 1
    description: 'More than ${settings.deadLettersCritical} dead letters a minute for five minutes.'
    threshold: settings.deadLettersCritical * 5
    frequency: 'PT1M'
    window: 'PT5M'
  }
]

resource deadLetters 'Microsoft.Insights/metricAlerts@2026-01-01' = [
  for alert in deadLetterAlerts: {
    name: '${prefix}-${alert.name}'
    location: 'global'
    tags: tags
    properties: {
      description: '${alert.description} `xact-pipeline dlq list` shows them. ${runbookOf(runbooks, alert.runbook, alert.name)}'
      severity: alert.severity
      enabled: true
      scopes: [namespaceId]
      evaluationFrequency: alert.frequency
      windowSize: alert.window
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
            threshold: alert.threshold
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
// have is behind by more than its threshold times one replica less. A stage that the scaler does not wake has no replicas:
// that is the log alert `scale-rule-lost`. A stage that holds messages until they are due is not behind.
resource lag 'Microsoft.Insights/metricAlerts@2026-01-01' = [
  for app in filter(apps, app => !app.holdsMessages): {
    name: '${prefix}-lag-${app.name}'
    location: 'global'
    tags: tags
    properties: {
      description: '${app.name} has been scaled out as far as it goes for ${settings.lagMinutes} minutes and is still behind. `xact-pipeline topics lag` says how far. ${runbookOf(runbooks, 'consumer-lag.md', 'lag-app')}'
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

// https://learn.microsoft.com/azure/event-hubs/monitor-event-hubs-reference#metrics
var namespaceAlerts = [
  {
    name: 'throttled'
    runbook: 'connections.md'
    severity: 3
    description: 'Event Hubs slows the stages down: the namespace needs more throughput or processing units.'
    metric: 'ThrottledRequests'
  }
  {
    name: 'quota-exceeded'
    runbook: 'connections.md'
    severity: 2
    description: 'Event Hubs refuses requests because a quota of the tier is used up: connections, consumer groups, size.'
    metric: 'QuotaExceededErrors'
  }
]

resource namespaceLimits 'Microsoft.Insights/metricAlerts@2026-01-01' = [
  for alert in namespaceAlerts: {
    name: '${prefix}-${alert.name}'
    location: 'global'
    tags: tags
    properties: {
      description: '${alert.description} ${runbookOf(runbooks, alert.runbook, alert.name)}'
      severity: alert.severity
      enabled: true
      scopes: [namespaceId]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: alert.metric
            metricNamespace: 'Microsoft.EventHub/namespaces'
            metricName: alert.metric
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
]

var bytesOfGiB = 1024 * 1024 * 1024

resource cacheFilling 'Microsoft.Insights/metricAlerts@2026-01-01' = {
  name: '${prefix}-cache-filling'
  location: 'global'
  tags: tags
  properties: {
    description: 'The cache share is over 80 % full; at 90 % the download stage pauses. Is the upload stage behind? ${runbookOf(runbooks, 'cache.md', 'cache-filling')}'
    severity: 2
    enabled: true
    scopes: ['${storageAccountId}/fileServices/default']
    evaluationFrequency: 'PT15M'
    // The metric comes once an hour: a share that fills faster shows in `not-ready`, since downloads pause.
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

// `points` intervals of `window` are looked at, and `failing` of them must have a row. With more than one point each row needs
// a time, so that it belongs to one of them:
// https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule ("Number of violations").
// tests/deployment runs each query over recorded rows.
var platformAlerts = [
  {
    name: 'not-ready'
    runbook: 'connections.md'
    description: 'A replica has been not ready for ten minutes: a dependency is down. The alert\'s query has the reason.'
    severity: 2
    // A handler logs this line every five minutes while a component is not ready.
    query: '''
      ContainerAppConsoleLogs
      | where Log has "still not ready"
      | extend line = parse_json(Log)
      | where tostring(line.message) == "still not ready" and tostring(line.level) == "WARN"
      | extend component = tostring(line.component), reason = tostring(line.reason)
      | summarize lines = count(), arg_max(TimeGenerated, reason) by ContainerAppName, ContainerGroupName, component
      | where lines >= 2
    '''
    frequency: 'PT5M'
    window: 'PT15M'
    points: 1
    failing: 1
  }
  {
    name: 'scaler'
    runbook: 'consumer-lag.md'
    description: 'KEDA cannot ask for the lag: a stage keeps its replicas as they are, or does not wake.'
    severity: 1
    // Once is normal in the first seconds of a revision: https://github.com/microsoft/azure-container-apps/issues/399
    query: '''
      ContainerAppSystemLogs
      | where EventSource == "KEDA" and Reason endswith "Failed"
      | summarize failures = count(), take_any(Log) by bin(TimeGenerated, 5m), ContainerAppName
    '''
    frequency: 'PT5M'
    window: 'PT5M'
    points: 3
    failing: 2
  }
  {
    name: 'scale-rule-lost'
    runbook: 'consumer-lag.md'
    description: 'KEDA no longer watches the newest revision of a stage: it keeps its replicas as they are, and does not wake.'
    severity: 1
    // https://github.com/microsoft/azure-container-apps/issues/1615. In a rollout the former revision loses its rule after
    // the new one got its own. An app that was stopped on purpose shows as well.
    query: '''
      let deleted = ContainerAppSystemLogs
        | where Reason == "ScaledObjectDeleted"
        | summarize arg_max(TimeGenerated, RevisionName) by ContainerAppName;
      let watched = ContainerAppSystemLogs
        | where Reason == "KEDAScalersStarted"
        | project ContainerAppName, startedAt = TimeGenerated, startedRevision = RevisionName
        | join kind=inner deleted on ContainerAppName
        | where (startedRevision == RevisionName and startedAt > TimeGenerated)
            or (startedRevision != RevisionName and startedAt > TimeGenerated - 1h)
        | distinct ContainerAppName;
      deleted
      | where TimeGenerated < ago(10m)
      | join kind=leftanti watched on ContainerAppName
    '''
    frequency: 'PT15M'
    window: 'P1D'
    points: 1
    failing: 1
  }
  {
    name: 'restarts'
    runbook: 'deployment.md'
    description: 'The containers of an app ended three times in 15 minutes. The alert\'s query has the exit code; the log of the app has the reason.'
    severity: 2
    // Not the metric RestartCount: it is the number of restarts since the replica was made, and stays above any threshold
    // (https://github.com/microsoft/azure-container-apps/issues/467). ManuallyStopped is the end of a scale-in or a rollout.
    query: '''
      ContainerAppSystemLogs
      | where JobName == "" and Reason == "ContainerTerminated" and Log !has "ManuallyStopped"
      | summarize restarts = count(), arg_max(TimeGenerated, Log) by ContainerAppName
      | where restarts >= 3
    '''
    frequency: 'PT5M'
    window: 'PT15M'
    points: 1
    failing: 1
  }
  {
    name: 'revision-failed'
    runbook: 'deployment.md'
    description: 'A new revision does not start: its image, its mount or its probes fail. The one before keeps running.'
    severity: 2
    query: '''
      ContainerAppSystemLogs
      | where Reason in ("ContainerAppFailure", "RevisionFailed", "ImagePullFailed", "ImagePullUnauthorized", "VolumeMountFailure")
          or Log has "Deployment Progress Deadline Exceeded"
      | summarize events = count(), arg_max(TimeGenerated, Reason, Log) by ContainerAppName
    '''
    frequency: 'PT5M'
    window: 'PT15M'
    points: 1
    failing: 1
  }
  {
    name: 'secret-refresh'
    runbook: 'deployment.md'
    description: 'The platform cannot read a secret of an app: a renewed key does not reach it, and a new revision does not start.'
    severity: 2
    // Secrets are read again every half an hour: https://learn.microsoft.com/azure/container-apps/manage-secrets
    query: '''
      ContainerAppSystemLogs
      | where Reason == "FetchingKeyVaultSecretFailed"
      | summarize failures = count(), arg_max(TimeGenerated, Log) by ContainerAppName
    '''
    frequency: 'PT15M'
    window: 'PT1H'
    points: 1
    failing: 1
  }
  {
    name: 'job-failed'
    runbook: 'jobs.md'
    description: 'A job failed: it found something wrong, ended with an error, or did not end in time. Its log has the reason.'
    severity: 2
    // https://azureossd.github.io/2023/10/30/Troubleshooting-failed-job-executions-on-Container-App-Jobs
    // Not the metric Executions: the values of its dimension `state` are not documented
    // (https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-app-jobs-metrics).
    query: '''
      ContainerAppSystemLogs
      | where Reason in ("BackoffLimitExceeded", "DeadlineExceeded")
      | extend ContainerAppName = JobName
      | summarize executions = count(), arg_max(TimeGenerated, Reason, Log) by ContainerAppName
    '''
    frequency: 'PT5M'
    window: 'PT30M'
    points: 1
    failing: 1
  }
]

var reported = filter(
  flatten(map(definitions.groups, group => group.alerts)),
  alert => alert.?azure != null && contains(sources, alert.azure!.source)
)
var productAlerts = map(reported, alert => {
  name: alert.name
  runbook: alert.runbook
  description: replace('${alert.azure!.description} ${alert.action}', '{threshold}', alert.?threshold ?? '')
  severity: alert.severity == 'critical' ? 1 : 2
  query: replace(alert.azure!.kql, '{threshold}', alert.?threshold ?? '')
  frequency: alert.azure!.frequency
  window: alert.azure!.window
  points: 1
  failing: 1
})
var capacityUnits = string(settings.?capacityUnits ?? definitions.capacityUnits)

resource logs 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for alert in concat(platformAlerts, productAlerts): {
    name: '${prefix}-${alert.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${prefix}-${alert.name}'
      description: '${replace(alert.description, '{capacityUnits}', capacityUnits)} ${runbookOf(runbooks, alert.runbook, alert.name)}'
      severity: alert.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: alert.frequency
      windowSize: alert.window
      criteria: {
        allOf: [
          {
            query: replace(alert.query, '{capacityUnits}', capacityUnits)
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: [{ name: 'ContainerAppName', operator: 'Include', values: ['*'] }]
            failingPeriods: { numberOfEvaluationPeriods: alert.points, minFailingPeriodsToAlert: alert.failing }
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
