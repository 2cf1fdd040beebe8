// The whole pipeline in one resource group: Event Hubs, seven container apps that scale on their topics' lag, and what
// they need. README.md in this folder says how to deploy it, and what is left to do by hand.

targetScope = 'resourceGroup'

metadata name = 'xact-pipeline'
metadata description = 'Event Hubs for Kafka, one container app a stage, scaled by KEDA on the lag of its topics, to zero and back.'

import {
  accessType
  alertsType
  cacheType
  consoleType
  eventHubsType
  fabricType
  logsType
  networkType
  scalerAuthenticationType
  schedulesType
  servicePrincipalType
  stageSizeType
  stageType
  tagsType
  topicType
  topologyType
} from 'types.bicep'
import { logon, secretNames } from 'modules/scaler-logon.bicep'

// -------------------------------------------------------------------------------------------------------- the parameters

@description('Region of everything.')
param location string = resourceGroup().location

@description('Start of all names.')
@minLength(2)
@maxLength(6)
param workload string = 'xact'

@description('Which of the deployments this is; part of all names.')
@minLength(2)
@maxLength(4)
param environmentName string

@description('Tags of every resource, besides `workload` and `environment`.')
param tags tagsType = {}

@description('Where the files and tables go.')
param fabric fabricType

@description('Tag of the handlers\' images.')
@minLength(1)
@maxLength(128)
param imageTag string

@description('Repository of the handlers\' images in the registry; the name of the stage follows.')
@minLength(1)
param imageRepository string = 'xact-pipeline'

@description('Whether the container apps are deployed. Not the first time: the registry has no images yet.')
param deployApps bool = true

@description('Tier and size of the Event Hubs namespace.')
param eventHubs eventHubsType = { sku: 'Standard', capacity: 1 }

@description('How the scaler logs on to Event Hubs. `sas`: with a key that may listen and no more. `servicePrincipal`: without any key. `identity`: not yet, see README.md.')
param scalerAuthentication scalerAuthenticationType = 'sas'

@description('The scaler\'s service principal. Needed with `servicePrincipal`.')
param scalerPrincipal servicePrincipalType?

@description('Its secret. Not needed once the vault has it.')
@secure()
param scalerPrincipalSecret string = ''

@description('Size of a stage, unless `stageSizes` says otherwise.')
param defaultSize stageSizeType = { cores: '0.25', minReplicas: 0 }

@description('Sizes by the name of the stage.')
param stageSizes {
  @description('Size of this stage.')
  *: stageSizeType
} = {}

@description('The cache volume.')
param cache cacheType = { sizeGiB: 100, sku: 'Standard_LRS' }

@description('Hosts from which attachments may be downloaded, exact.')
@minLength(1)
param allowedAttachmentDomains string[] = [
  'usw2-prod-xn-exportreceiver-publish.s3.us-west-2.amazonaws.com'
  'claimxperience.s3.amazonaws.com'
  'claimxperience.s3.us-east-1.amazonaws.com'
  'www.claimxperience.com'
  'claimxperience.com'
  'xactware-claimx-us-prod.s3.us-west-1.amazonaws.com'
]

@description('JSON paths of events where URLs are known not to be attachments, such as $.payload.links.self; a * at the end stands for anything. Other URLs outside the list of attachments are reported by a metric, the log and reconcile.')
param ignoredUrlPaths string[] = []

@description('Level of the handlers\' logs.')
param logLevel 'ERROR' | 'WARN' | 'INFO' | 'DEBUG' | 'TRACE' = 'INFO'

@description('Whether traces and metrics go to Application Insights, through a collector in the environment.')
param applicationInsights bool = true

@description('Image of that collector.')
@minLength(1)
param collectorImage string = 'otel/opentelemetry-collector-contrib:0.165.0'

@description('Another collector, OTLP over HTTP, instead of that of `applicationInsights`. Empty: none.')
param otlpEndpoint string = ''

@description('Longest drain of a handler after SIGTERM, in seconds. The platform waits 5 seconds longer.')
@minValue(1)
@maxValue(595)
param shutdownGraceSeconds int = 25

@description('Who besides the stages may use the event hubs: the source of the events, operators.')
@maxLength(50)
param access accessType[] = []

@description('Whether Event Hubs, vault, share and registry are reached through private endpoints of a virtual network alone. It cannot be changed later: the environment stays in the network that it was made in.')
param privateNetworking bool = false

@description('The virtual network: its addresses, or an existing one.')
param network networkType = {
  addressPrefix: '10.60.0.0/22'
  appsPrefix: '10.60.0.0/23'
  endpointsPrefix: '10.60.2.0/27'
}

@description('Whether replicas are spread over the zones of the region. Needs private networking.')
param zoneRedundant bool = false

@description('Tier of the registry. With private networking it is Premium in any case: no other has private endpoints.')
param registrySku 'Basic' | 'Standard' | 'Premium' = 'Basic'

@description('Whether a deleted vault is kept for 90 days and nobody can remove it earlier. It cannot be switched off again.')
param vaultPurgeProtection bool = false

@description('Any text, to give the vault another name. Needed when a deleted vault has the name and can be neither recovered nor purged.')
@maxLength(32)
param vaultNameSalt string = ''

@description('Retention and daily limit of the logs.')
param logs logsType = { retentionDays: 30, dailyQuotaGb: 1 }

@description('Who is told, and when.')
param alerts alertsType = { emails: [], deadLettersWarning: 5, deadLettersCritical: 10, lagMinutes: 15 }

@description('When the jobs run, in UTC. An empty schedule turns its job off.')
param schedules schedulesType = { maintain: '15 1 * * *', reconcile: '30 4 * * *', lag: '*/15 * * * *' }

// ----------------------------------------------------------------------------------------------------------- the topology

var topology topologyType = loadJsonContent('topology.json')
var stages stageType[] = topology.stages
var topics topicType[] = topology.topics

func namesOf(topics topicType[], role string) string[] =>
  map(filter(topics, topic => topic.role == role), topic => topic.name)

@description('Whether there is a job `operate`, which runs the commands that `infra/operate` gives it. Its identity may read and send everywhere, as an operator. Needed where no operator reaches the network.')
param operateJob bool = privateNetworking

@description('The operator\'s web console, for people who sign in with Entra ID. Not set: there is none.')
param console consoleType?

var hasConsole = console != null

// The jobs: commands of the operator's program. Each timeout is shorter than the interval between two executions.
var scheduledJobs = [
  {
    name: 'maintain'
    schedule: schedules.maintain
    arguments: ['maintain', '--max-minutes', '30', '--json']
    cores: '1.0'
    memory: '2Gi'
    timeoutSeconds: 2700
    // It continues where it ended.
    retries: 1
    roles: []
    usesLake: true
  }
  {
    name: 'reconcile'
    schedule: schedules.reconcile
    arguments: ['reconcile', '--yesterday', '--record', '--json']
    cores: '0.5'
    memory: '1Gi'
    timeoutSeconds: 1800
    // What is missing is still missing a minute later.
    retries: 0
    roles: ['receive']
    usesLake: true
  }
  {
    name: 'lag'
    schedule: schedules.lag
    arguments: ['topics', 'lag', '--oldest', '--json']
    cores: '0.25'
    memory: '0.5Gi'
    timeoutSeconds: 300
    retries: 0
    roles: ['receive']
    usesLake: false
  }
]

// Without a schedule: `infra/operate` starts it.
var operate = {
  name: 'operate'
  schedule: 'manual'
  // Without other arguments it checks.
  arguments: ['check']
  cores: '0.5'
  memory: '1Gi'
  timeoutSeconds: 3600
  retries: 0
  roles: ['receive', 'send']
  usesLake: true
}
var jobs = concat(scheduledJobs, operateJob ? [operate] : [])

// The identities of the operator's program, and what they may do: the jobs, and the console. People in it replay dead letters,
// which go to any topic, so that it reads and sends everywhere, as `operate` does.
var operators = concat(
  map(jobs, job => { name: job.name, roles: job.roles, usesLake: job.usesLake }),
  hasConsole ? [{ name: 'console', roles: ['receive', 'send'], usesLake: true }] : []
)
var operatorGrants = flatten(map(
  range(0, length(operators)),
  i => map(operators[i].roles, role => { operator: i, role: role })
))

// -------------------------------------------------------------------------------------------------------------- the names

// https://learn.microsoft.com/azure/cloud-adoption-framework/ready/azure-best-practices/resource-abbreviations
var base = '${workload}-${environmentName}'
// Five characters for the names that are global.
var unique = take(uniqueString(resourceGroup().id, base), 5)
var uniqueVault = empty(vaultNameSalt) ? unique : take(uniqueString(resourceGroup().id, base, vaultNameSalt), 5)
var names = {
  logs: 'log-${base}'
  namespace: 'evhns-${base}-${unique}'
  vault: 'kv-${base}-${uniqueVault}'
  registry: 'cr${workload}${environmentName}${unique}'
  storage: 'st${workload}${environmentName}${unique}'
  environment: 'cae-${base}'
  network: 'vnet-${base}'
  insights: 'appi-${base}'
  collector: 'ca-${base}-collector'
  console: 'ca-${base}-console'
  platformIdentity: 'id-${base}-platform'
  cacheShare: 'cache'
  cacheKey: 'cache-account-key'
}
var everyTag tagsType = union(tags, { workload: workload, environment: environmentName })

var bootstrapServers = '${names.namespace}.servicebus.windows.net:9093'
var vaultUrl = 'https://${names.vault}${environment().suffixes.keyvaultDns}'
var registryServer = '${names.registry}${environment().suffixes.acrLoginServer}'
var lakehouse = 'abfss://${fabric.workspaceId}@onelake.dfs.fabric.microsoft.com/${fabric.lakehouseId}'

// ---------------------------------------------------------------------------------------------------------- the identities

// Each stage is somebody of its own: it reads its topics, writes its topics, and nothing else. And so are each job and the
// console; theirs come after those of the stages.
resource identities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = [
  for name in concat(map(stages, stage => stage.name), map(operators, operator => operator.name)): {
    name: 'id-${base}-${name}'
    location: location
    tags: everyTag
  }
]

// What the platform does for the apps (pull images, read the scaler's secrets, mount the share) it does as this one, which
// no handler gets a token of.
resource platform 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: names.platformIdentity
  location: location
  tags: everyTag
}

// ------------------------------------------------------------------------------------------------------------ the services

module workspace 'modules/logs.bicep' = {
  params: { name: names.logs, location: location, settings: logs, tags: everyTag }
}

module currentHubs 'modules/current-event-hubs.bicep' = {
  params: { name: names.namespace, sku: eventHubs.sku }
}

module hubs 'modules/event-hubs.bicep' = {
  params: {
    name: names.namespace
    location: location
    settings: eventHubs
    currentCapacity: currentHubs.outputs.capacity
    topics: topics
    stages: stages
    identityIds: [for i in range(0, length(stages)): identities[i].id]
    principalIds: [for i in range(0, length(stages)): identities[i].properties.principalId]
    operators: [
      for grant in operatorGrants: {
        identityId: identities[length(stages) + grant.operator].id
        principalId: identities[length(stages) + grant.operator].properties.principalId
        role: grant.role
      }
    ]
    access: access
    allowsKeys: scalerAuthentication == 'sas'
    publicAccess: !privateNetworking
    workspaceId: workspace.outputs.id
    tags: everyTag
  }
}

module vault 'modules/key-vault.bicep' = {
  params: {
    name: names.vault
    location: location
    purgeProtection: vaultPurgeProtection
    publicAccess: !privateNetworking
    workspaceId: workspace.outputs.id
    tags: everyTag
  }
}

module scalerCredentials 'modules/scaler-credentials.bicep' = {
  params: {
    namespaceName: names.namespace
    vaultName: names.vault
    authentication: scalerAuthentication
    principal: scalerAuthentication == 'servicePrincipal'
      ? scalerPrincipal ?? fail('scalerAuthentication is servicePrincipal: set scalerPrincipal')
      : null
    principalSecret: scalerPrincipalSecret
    identityId: platform.id
    identityPrincipalId: platform.properties.principalId
    tags: everyTag
  }
  dependsOn: [hubs, vault]
}

module registry 'modules/registry.bicep' = {
  params: {
    name: names.registry
    location: location
    sku: privateNetworking ? 'Premium' : registrySku
    publicAccess: !privateNetworking
    identityId: platform.id
    identityPrincipalId: platform.properties.principalId
    workspaceId: workspace.outputs.id
    tags: everyTag
  }
}

module cacheShare 'modules/cache.bicep' = {
  params: {
    name: names.storage
    shareName: names.cacheShare
    location: location
    settings: cache
    vaultName: names.vault
    secretName: names.cacheKey
    identityId: platform.id
    identityPrincipalId: platform.properties.principalId
    publicAccess: !privateNetworking
    workspaceId: workspace.outputs.id
    tags: everyTag
  }
  dependsOn: [vault]
}

// -------------------------------------------------------------------------------------------------------- private networking

var endpoints = [
  {
    service: names.namespace
    id: resourceId('Microsoft.EventHub/namespaces', names.namespace)
    group: 'namespace'
    zone: 'privatelink.servicebus.windows.net'
  }
  {
    service: names.vault
    id: resourceId('Microsoft.KeyVault/vaults', names.vault)
    group: 'vault'
    zone: 'privatelink.vaultcore.azure.net'
  }
  {
    service: names.storage
    id: resourceId('Microsoft.Storage/storageAccounts', names.storage)
    group: 'file'
    zone: 'privatelink.file.${environment().suffixes.storage}'
  }
  {
    service: names.registry
    id: resourceId('Microsoft.ContainerRegistry/registries', names.registry)
    group: 'registry'
    zone: 'privatelink${environment().suffixes.acrLoginServer}'
  }
]

var makesNetwork = network.?existingSubnets == null
var dnsZones = network.?dnsZones ?? 'new'
var subnets = {
  apps: network.?existingSubnets.?apps ?? resourceId('Microsoft.Network/virtualNetworks/subnets', names.network, 'apps')
  endpoints: network.?existingSubnets.?endpoints ?? resourceId(
    'Microsoft.Network/virtualNetworks/subnets',
    names.network,
    'endpoints'
  )
}
// The network of a subnet is everything before `/subnets/`.
var networkId = join(take(split(subnets.endpoints, '/'), 9), '/')
var zonesGroupId = dnsZones == 'existing'
  ? network.?dnsZonesResourceGroupId ?? fail('network.dnsZones is existing: set network.dnsZonesResourceGroupId')
  : resourceGroup().id

module virtualNetwork 'modules/network.bicep' = if (privateNetworking && makesNetwork) {
  params: {
    name: names.network
    location: location
    settings: network
    tags: everyTag
  }
}

module privateZones 'modules/private-dns-zones.bicep' = if (privateNetworking && dnsZones == 'new') {
  params: {
    zones: map(endpoints, endpoint => endpoint.zone)
    linkName: last(split(networkId, '/'))
    networkId: networkId
    tags: everyTag
  }
  dependsOn: [virtualNetwork]
}

module privateEndpoints 'modules/private-endpoint.bicep' = [
  for endpoint in endpoints: if (privateNetworking) {
    params: {
      name: 'pep-${endpoint.service}'
      location: location
      serviceId: endpoint.id
      group: endpoint.group
      subnetId: subnets.endpoints
      zoneId: dnsZones == 'policy' ? '' : '${zonesGroupId}/providers/Microsoft.Network/privateDnsZones/${endpoint.zone}'
      tags: everyTag
    }
    dependsOn: [virtualNetwork, privateZones, hubs, vault, cacheShare, registry]
  }
]

// ---------------------------------------------------------------------------------------------------------------- the apps

module appEnvironment 'modules/environment.bicep' = {
  params: {
    name: names.environment
    location: location
    subnetId: privateNetworking ? subnets.apps : ''
    publicAccess: hasConsole && !privateNetworking
    zoneRedundant: zoneRedundant && !privateNetworking
      ? fail('zoneRedundant needs privateNetworking: only an environment in a virtual network spreads over zones')
      : zoneRedundant
    identityId: platform.id
    storageName: names.cacheShare
    storageAccountName: names.storage
    shareName: names.cacheShare
    storageKeyUrl: '${vaultUrl}/secrets/${names.cacheKey}'
    workspaceId: workspace.outputs.id
    tags: everyTag
  }
  dependsOn: [virtualNetwork, privateEndpoints, cacheShare]
}

module environmentDns 'modules/environment-dns.bicep' = if (hasConsole && privateNetworking && dnsZones == 'new') {
  params: {
    #disable-next-line what-if-short-circuiting // The platform chooses it: `what-if` shows the zone as one that it cannot predict.
    domain: appEnvironment.outputs.defaultDomain
    address: appEnvironment.outputs.staticIp
    linkName: last(split(networkId, '/'))
    networkId: networkId
    tags: everyTag
  }
}

var hasCollector = applicationInsights && empty(otlpEndpoint)

module collector 'modules/collector.bicep' = if (hasCollector) {
  params: {
    name: names.collector
    insightsName: names.insights
    location: location
    environmentId: resourceId('Microsoft.App/managedEnvironments', names.environment)
    image: collectorImage
    workspaceId: workspace.outputs.id
    tags: everyTag
  }
  dependsOn: [appEnvironment]
}

module workbook 'modules/workbook.bicep' = if (hasCollector) {
  params: {
    displayName: '${base} pipeline'
    location: location
    workspaceId: resourceId('Microsoft.OperationalInsights/workspaces', names.logs)
    tags: everyTag
  }
  dependsOn: [workspace]
}

// The same for every stage. With a namespace of one's own both clusters of the handlers' settings are this one.
var everyVariable = {
  EVENTHUB_BOOTSTRAP_SERVERS: bootstrapServers
  EVENTHUB_EVENTS_TOPIC: namesOf(topics, 'raw')[0]
  EVENTHUB_CONSUMER_GROUP: filter(stages, stage => stage.name == 'event-ingester')[0].group
  EVENTHUB_AUTO_OFFSET_RESET: 'earliest'
  LOCAL_KAFKA_BOOTSTRAP_SERVERS: bootstrapServers
  LOCAL_KAFKA_SECURITY_PROTOCOL: 'SASL_SSL'
  KAFKA_DOWNLOADS_PENDING_TOPIC: namesOf(topics, 'pending')[0]
  KAFKA_DOWNLOADS_CACHED_TOPIC: namesOf(topics, 'cached')[0]
  KAFKA_DOWNLOADS_RESULTS_TOPIC: namesOf(topics, 'results')[0]
  KAFKA_DLQ_TOPIC: namesOf(topics, 'dlq')[0]
  KAFKA_CONSUMER_GROUP_PREFIX: topology.groupPrefix
  RETRY_DELAYS: join(map(topology.retryDelaysSeconds, seconds => string(seconds)), ',')
  ALLOWED_ATTACHMENT_DOMAINS: join(allowedAttachmentDomains, ',')
  IGNORED_URL_PATHS: join(ignoredUrlPaths, ',')
  LOG_LEVEL: logLevel
  // Apps of one environment reach each other by their names:
  // https://learn.microsoft.com/azure/container-apps/connect-apps
  OTEL_EXPORTER_OTLP_ENDPOINT: hasCollector ? 'http://${names.collector}' : otlpEndpoint
  // Application Insights adds values up. A handler keeps what no export has delivered, so that nothing is lost while the
  // collector starts.
  OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: hasCollector ? 'delta' : 'cumulative'
}

// Where each table is, for the stages that write it. A lakehouse with schemas, which is the default of a new one, finds a
// table only below a schema: https://learn.microsoft.com/fabric/data-engineering/create-lakehouse
var schema = fabric.?schema ?? 'dbo'
var files = '${lakehouse}/Files/xact'
var tables = empty(schema) ? '${lakehouse}/Tables' : '${lakehouse}/Tables/${schema}'
var tableVariables = {
  xact_events: { DELTA_EVENTS_TABLE_PATH: '${tables}/xact_events' }
  xact_attachments: { DELTA_INVENTORY_TABLE_PATH: '${tables}/xact_attachments' }
  xact_attachments_failed: { DELTA_FAILED_TABLE_PATH: '${tables}/xact_attachments_failed' }
}

var lakeVariables = union(
  { ONELAKE_BASE_PATH: files, DELTA_RECONCILIATION_TABLE_PATH: '${tables}/xact_reconciliation' },
  tableVariables.xact_events,
  tableVariables.xact_attachments,
  tableVariables.xact_attachments_failed
)

func concurrencyVariable(stage stageType) tagsType =>
  stage.name == 'download'
    ? { DOWNLOAD_CONCURRENCY: string(stage.concurrency) }
    : stage.name == 'upload' ? { UPLOAD_CONCURRENCY: string(stage.concurrency) } : {}

module handlers 'modules/handler.bicep' = [
  for (stage, i) in stages: if (deployApps) {
    params: {
      name: 'ca-${base}-${stage.name}'
      location: location
      environmentId: resourceId('Microsoft.App/managedEnvironments', names.environment)
      stage: stage
      topics: filter(topics, topic => topic.role == stage.consumes)
      size: stageSizes[?stage.name] ?? defaultSize
      image: '${registryServer}/${imageRepository}/${stage.name}:${imageTag}'
      registryServer: registryServer
      identityId: identities[i].id
      identityClientId: identities[i].properties.clientId
      platformIdentityId: platform.id
      bootstrapServers: bootstrapServers
      scaler: logon(scalerAuthentication, platform.id)
      secrets: map(
        secretNames(scalerAuthentication),
        name => { name: name, keyVaultUrl: '${vaultUrl}/secrets/${name}' }
      )
      variables: reduce(
        map(stage.tables, table => tableVariables[table]),
        union(everyVariable, concurrencyVariable(stage), stage.files ? { ONELAKE_BASE_PATH: files } : {}),
        (all, one) => union(all, one)
      )
      cacheStorageName: names.cacheShare
      shutdownGraceSeconds: shutdownGraceSeconds
      tags: union(everyTag, { stage: stage.name })
    }
    // Before its identity may read and write, a handler only waits; before the registry and the secrets may be read, the
    // app cannot be made.
    dependsOn: [appEnvironment, hubs, registry, scalerCredentials, privateEndpoints]
  }
]

module scheduled 'modules/job.bicep' = [
  for (job, i) in jobs: if (deployApps && !empty(job.schedule)) {
    params: {
      name: 'caj-${base}-${job.name}'
      location: location
      environmentId: resourceId('Microsoft.App/managedEnvironments', names.environment)
      schedule: job.schedule
      arguments: job.arguments
      cores: job.cores
      memory: job.memory
      timeoutSeconds: job.timeoutSeconds
      retries: job.retries
      image: '${registryServer}/${imageRepository}/pipeline:${imageTag}'
      registryServer: registryServer
      identityId: identities[length(stages) + i].id
      identityClientId: identities[length(stages) + i].properties.clientId
      platformIdentityId: platform.id
      // Without the collector: a job's metrics would wake it, and nothing reads them.
      variables: union(everyVariable, { OTEL_EXPORTER_OTLP_ENDPOINT: '' }, job.usesLake ? lakeVariables : {})
      tags: union(everyTag, { job: job.name })
    }
    dependsOn: [appEnvironment, hubs, registry, privateEndpoints]
  }
]

var consoleUrl = 'https://${names.console}.${appEnvironment.outputs.defaultDomain}'

module operatorConsole 'modules/console.bicep' = if (deployApps && hasConsole) {
  params: {
    name: names.console
    location: location
    environmentId: resourceId('Microsoft.App/managedEnvironments', names.environment)
    url: consoleUrl
    settings: console!
    image: '${registryServer}/${imageRepository}/pipeline:${imageTag}'
    registryServer: registryServer
    identityId: identities[length(stages) + length(jobs)].id
    identityClientId: identities[length(stages) + length(jobs)].properties.clientId
    platformIdentityId: platform.id
    // Without the collector, as the jobs.
    variables: union(everyVariable, { OTEL_EXPORTER_OTLP_ENDPOINT: '' }, lakeVariables)
    // `infra/rollout` knows it by this tag.
    tags: union(everyTag, { app: 'console' })
  }
  dependsOn: [hubs, registry, privateEndpoints]
}

module warnings 'modules/alerts.bicep' = {
  params: {
    prefix: base
    location: location
    settings: alerts
    namespaceId: resourceId('Microsoft.EventHub/namespaces', names.namespace)
    deadLetterTopic: namesOf(topics, 'dlq')[0]
    apps: deployApps
      ? map(stages, stage => {
          name: 'ca-${base}-${stage.name}'
          holdsMessages: stage.consumes == 'retry'
          maxReplicas: max(map(filter(topics, topic => topic.role == stage.consumes), topic => topic.partitions))
        })
      : []
    storageAccountId: resourceId('Microsoft.Storage/storageAccounts', names.storage)
    cacheGiB: cache.sizeGiB
    workspaceId: workspace.outputs.id
    sources: concat(
      deployApps && hasCollector ? ['metrics'] : [],
      deployApps && !empty(schedules.lag) ? ['lag'] : [],
      deployApps && !empty(schedules.reconcile) ? ['reconcile'] : []
    )
    tags: everyTag
  }
  dependsOn: [hubs, cacheShare, handlers]
}

// ------------------------------------------------------------------------------------------------------------- what is left

var lakeWriters = concat(
  filter(range(0, length(stages)), i => stages[i].files || !empty(stages[i].tables)),
  map(filter(range(0, length(operators)), i => operators[i].usesLake), i => length(stages) + i)
)

@description('Host and port of the Event Hubs namespace, as Kafka clients want it.')
output bootstrapServers string = bootstrapServers

@description('Host name of the registry. Log on: `az acr login --name <the part before the first dot>`.')
output registryServer string = registry.outputs.loginServer

@description('The images that the apps and jobs run: push these.')
output images string[] = [
  for name in concat(map(stages, stage => stage.name), ['pipeline']): '${registryServer}/${imageRepository}/${name}:${imageTag}'
]

@description('The container apps.')
output apps string[] = [for stage in stages: 'ca-${base}-${stage.name}']

@description('Address of the console; empty: there is none. Its sign-in needs `/.auth/login/aad/callback` below it as a redirect URI of the app registration.')
output consoleUrl string = hasConsole ? consoleUrl : ''

@description('Who each stage is: neither id is a secret.')
output identities { stage: string, clientId: string, principalId: string }[] = [
  for (stage, i) in stages: {
    stage: stage.name
    clientId: identities[i].properties.clientId
    principalId: identities[i].properties.principalId
  }
]

@description('OneLake knows no Azure roles: run these as an admin of the Fabric workspace. They may be repeated.')
output grantOneLake string[] = [
  for i in lakeWriters: 'bicep/grant-onelake.sh ${fabric.workspaceId} ${identities[i].properties.principalId}'
]

@description('The same without the script.')
output grantOneLakeByHand string[] = [
  for i in lakeWriters: 'az rest --method post --resource https://api.fabric.microsoft.com --url https://api.fabric.microsoft.com/v1/workspaces/${fabric.workspaceId}/roleAssignments --headers Content-Type=application/json --body \'{"principal":{"id":"${identities[i].properties.principalId}","type":"ServicePrincipal"},"role":"Contributor"}\''
]
