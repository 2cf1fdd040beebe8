// Every type that more than one file needs. They live here because a file that imports from main.bicep would be a cycle.

// ------------------------------------------------------------------------------------------------------- the topology

@export()
@description('What a topic is for. Several topics have the role `retry`: one for each delay.')
type topicRole = 'raw' | 'pending' | 'cached' | 'results' | 'retry' | 'dlq'

@export()
@description('A topic: one event hub.')
type topicType = {
  @description('Name of the event hub, which is the Kafka topic.')
  @minLength(1)
  @maxLength(256)
  name: string

  @description('What it is for.')
  role: topicRole

  @description('Partitions. The Standard tier cannot change them later.')
  @minValue(1)
  @maxValue(32)
  partitions: int

  @description('How long records are kept, in hours, by tier of the namespace.')
  retentionHours: {
    @minValue(1)
    @maxValue(168)
    Standard: int

    @minValue(1)
    @maxValue(2160)
    Premium: int
  }
}

@export()
@description('A stage: one handler, one container app, one consumer group, one identity.')
type stageType = {
  @description('Name of the handler, its image and its container app.')
  @minLength(1)
  @maxLength(16)
  name: string

  @description('Consumer group.')
  @minLength(1)
  group: string

  @description('Role of the topics that it reads.')
  consumes: topicRole

  @description('Roles of the topics that it writes.')
  produces: topicRole[]

  @description('Delta tables that it appends to.')
  tables: ('xact_events' | 'xact_attachments' | 'xact_attachments_failed')[]

  @description('Writes files into OneLake.')
  files: bool

  @description('Mounts the cache volume.')
  cache: bool

  @description('Records of lag for which one more replica is worth its start.')
  @minValue(1)
  lagThreshold: int

  @description('Messages that one replica works on at the same time.')
  @minValue(1)
  @maxValue(64)
  concurrency: int
}

@export()
@description('topology.json: what the code calls `contracts::topology`. A test holds the two together.')
type topologyType = {
  @description('Seconds until each next attempt; one retry topic each.')
  retryDelaysSeconds: int[]

  @description('Prefix of the consumer groups.')
  groupPrefix: string

  @description('All topics, upstream first, the retry topics in the order of their delays.')
  topics: topicType[]

  @description('All stages, upstream first.')
  stages: stageType[]
}

// ------------------------------------------------------------------------------------------------------ the parameters

@export()
@description('Where the files and tables go.')
type fabricType = {
  @description('Id of the Fabric workspace, a GUID.')
  @minLength(36)
  @maxLength(36)
  workspaceId: string

  @description('Id of the lakehouse in it, a GUID.')
  @minLength(36)
  @maxLength(36)
  lakehouseId: string

  @description('Schema of the tables: `dbo` in a lakehouse with schemas, which a new one is by default; empty in a lakehouse without schemas.')
  @maxLength(128)
  schema: string?
}

@export()
@description('Tier and size of the Event Hubs namespace.')
type eventHubsType = {
  @description('Standard: ten event hubs, records of 1 MB, 7 days. Premium: 90 days, isolated resources.')
  sku: 'Standard' | 'Premium'

  @description('Throughput units (Standard, 1 to 40) or processing units (Premium, 1 to 16). With `maximumCapacity` it is the least: a deployment keeps what the namespace has grown to.')
  @minValue(1)
  @maxValue(40)
  capacity: int

  @description('Standard only: up to how many throughput units the namespace grows by itself. It never shrinks by itself.')
  @minValue(1)
  @maxValue(40)
  maximumCapacity: int?
}

@export()
@description('Who asks Event Hubs for the lag, to scale by it.')
type scalerAuthenticationType = 'sas' | 'servicePrincipal' | 'identity'

@export()
@description('The service principal of the scaler.')
type servicePrincipalType = {
  @description('Tenant, a GUID.')
  @minLength(36)
  @maxLength(36)
  tenantId: string

  @description('Client id of the application, a GUID.')
  @minLength(36)
  @maxLength(36)
  clientId: string

  @description('Object id of its service principal (not of the application), a GUID: roles are given to it.')
  @minLength(36)
  @maxLength(36)
  objectId: string
}

@export()
@description('Cores of a replica. Its memory follows: 2 GiB a core.')
type coresType = '0.25' | '0.5' | '0.75' | '1.0' | '1.25' | '1.5' | '1.75' | '2.0'

@export()
@description('Size of a stage.')
type stageSizeType = {
  @description('Cores of a replica.')
  cores: coresType

  @description('Replicas that are always there. 0: none while there is no lag.')
  @minValue(0)
  @maxValue(32)
  minReplicas: int
}

@export()
@description('The cache volume, an SMB share that the download and upload stages mount.')
type cacheType = {
  @description('Quota of the share in GiB. The download stage pauses at 90 % of it.')
  @minValue(1)
  @maxValue(102400)
  sizeGiB: int

  @description('Standard bills what is used, Premium what is reserved (at least 100 GiB), with a tenth of the latency.')
  sku: 'Standard_LRS' | 'Standard_ZRS' | 'Premium_LRS' | 'Premium_ZRS'

  @description('Which of the two account keys the share is mounted with; key1 if it is not set. To renew one, switch to the other first.')
  accountKey: ('key1' | 'key2')?
}

@export()
@description('Where logs go and how much of them.')
type logsType = {
  @description('Days that logs are kept.')
  @minValue(30)
  @maxValue(730)
  retentionDays: int

  @description('Gigabytes a day after which no more are taken; -1: no limit.')
  @minValue(-1)
  dailyQuotaGb: int
}

@export()
@description('Who is told, and when.')
type alertsType = {
  @description('E-mail addresses. None: the alerts show in the portal alone.')
  @maxLength(20)
  emails: string[]

  @description('Dead letters a minute, over five minutes, that are a warning.')
  @minValue(0)
  deadLettersWarning: int

  @description('Dead letters a minute, over five minutes, that are critical.')
  @minValue(1)
  deadLettersCritical: int

  @description('Minutes that a stage may stay scaled out as far as it goes before its lag is a warning.')
  lagMinutes: 5 | 15 | 30 | 60

  @description('Capacity units of the Fabric capacity, such as 64 of an F64: the alert `one-lake-capacity` compares with it. Default: that of monitoring/alerts.yaml.')
  @minValue(2)
  capacityUnits: int?

  @description('Address of the folder with the pages of infra/runbooks, which every alert names. Default: that of monitoring/alerts.yaml.')
  @minLength(1)
  runbooks: string?
}

@export()
@description('When the jobs run: five fields of cron, in UTC; empty: never.')
type schedulesType = {
  @description('Upkeep of the tables and files. An execution takes up to 45 minutes.')
  maintain: string

  @description('Reconciliation of yesterday. An execution takes up to 30 minutes.')
  reconcile: string

  @description('The watchdog of the lag. An execution takes up to 5 minutes; more than 20 minutes apart, alerts would miss them.')
  lag: string
}

@export()
@description('The virtual network, when networking is private.')
type networkType = {
  @description('Addresses of the network, unless `existingSubnets` is set.')
  addressPrefix: string?

  @description('Addresses of the container apps: /27 or larger, theirs alone.')
  appsPrefix: string?

  @description('Addresses of the private endpoints: /28 or larger.')
  endpointsPrefix: string?

  @description('Subnets of an existing network, instead of a new one.')
  existingSubnets: {
    @description('Resource id of the subnet of the container apps: /27 or larger, theirs alone, delegated to Microsoft.App/environments.')
    @minLength(1)
    apps: string

    @description('Resource id of the subnet of the private endpoints.')
    @minLength(1)
    endpoints: string
  }?

  @description('Who keeps the private DNS zones. `new`: this deployment makes them and links them to the network. `existing`: they are in `dnsZonesResourceGroupId`. `policy`: an Azure Policy of yours makes the records. `new` if it is not set.')
  dnsZones: ('new' | 'existing' | 'policy')?

  @description('Resource id of the resource group of the existing zones. Needed with `existing`.')
  dnsZonesResourceGroupId: string?
}

@export()
@description('The console, and who signs in to it.')
type consoleType = {
  @description('Client id of the app registration that people sign in to, a GUID. README.md says how to make it.')
  @minLength(36)
  @maxLength(36)
  clientId: string

  @description('Tenant of the app registration, a GUID; that of the subscription if it is not set.')
  @minLength(36)
  @maxLength(36)
  tenantId: string?

  @description('Address ranges (CIDR) that reach it. All, if none is named: then the sign-in alone keeps others out.')
  @maxLength(50)
  allowedAddresses: string[]?
}

@export()
@description('Somebody besides the stages who may use the event hubs.')
type accessType = {
  @description('Object id, a GUID.')
  @minLength(36)
  @maxLength(36)
  principalId: string

  @description('Kind of principal.')
  principalType: 'User' | 'Group' | 'ServicePrincipal'

  @description('sendEvents: may send to the topic of the events. operate: may read and send everywhere, as the commands `dlq replay`, `offsets reset` and `validate` must.')
  role: 'sendEvents' | 'operate'
}

@export()
@description('Tags of every resource.')
type tagsType = {
  @description('A tag.')
  *: string
}

// ------------------------------------------------------------------------------------------------- between the modules

@export()
@description('A secret of a container app, by its place in the vault.')
type secretReferenceType = {
  @description('Name in the container app.')
  name: string

  @description('Its address in the vault, without a version: the newest is taken.')
  keyVaultUrl: string
}

@export()
@description('What a scale rule needs to log on to Event Hubs.')
type scalerType = {
  @description('Settings that are the same for every rule.')
  metadata: tagsType

  @description('Secrets by the parameter of the scaler that they fill.')
  auth: { secretRef: string, triggerParameter: string }[]

  @description('Resource id of the identity that the scaler uses; empty: none.')
  identity: string
}

// -------------------------------------------------------------------------------------------------------- the monitoring

@export()
@description('monitoring/panels.yaml: the panels of the dashboard.')
type panelsType = {
  @description('The rows, from top to bottom.')
  rows: {
    title: string
    panels: {
      title: string
      description: string?
      kind: 'stat' | 'timeseries'
      unit: 'short' | 'reqps' | 's' | 'Bps' | 'percentunit'

      @description('Columns, of 24.')
      @minValue(1)
      @maxValue(24)
      width: int

      red: int?
      max: int?
      stacked: bool?
      queries: { promql: string, legend: string? }[]
      azure: {
        @description('Title in the workbook, where it shows something else than Grafana.')
        title: string?

        kql: string
      }
    }[]
  }[]
}

@export()
@description('What a query of a log alert reads: the handlers\' metrics, or the answer of a job.')
type alertSourceType = 'metrics' | 'lag' | 'reconcile'

@export()
@description('monitoring/alerts.yaml: the alerts on what the pipeline itself reports.')
type alertDefinitionsType = {
  runbooks: string
  capacityUnits: string
  groups: {
    name: string
    alerts: {
      name: string
      runbook: string
      severity: 'warning' | 'critical'

      @description('A text, since Bicep has no fractions.')
      threshold: string?

      action: string
      prometheus: { expr: string, for: string, summary: string }?
      azure: { description: string, source: alertSourceType, kql: string, frequency: string, window: string }?
    }[]
  }[]
}
