// Application Insights, and the OpenTelemetry Collector that sends it the handlers' traces and metrics.
//
// A collector of our own, not the environment's managed agent: the agent takes OTLP over gRPC alone, the handlers export
// over HTTP, and "the Application Insights endpoint doesn't accept metrics"
// (https://learn.microsoft.com/azure/container-apps/opentelemetry-agents#known-limitations).

import { tagsType } from '../types.bicep'

@description('Name of the app.')
@minLength(2)
@maxLength(32)
param name string

@description('Name of the Application Insights resource.')
@minLength(1)
@maxLength(260)
param insightsName string

@description('Region.')
param location string

@description('Resource id of the Container Apps environment.')
param environmentId string

@description('Image of the collector: the contrib distribution, which has the exporter azure_monitor.')
param image string

@description('Resource id of the Log Analytics workspace.')
param workspaceId string

@description('Tags.')
param tags tagsType

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    Flow_Type: 'Bluefield'
    Request_Source: 'rest'
    WorkspaceResourceId: workspaceId
    IngestionMode: 'LogAnalytics'
  }
}

var otlpPort = 4318
var healthPort = 13133

// https://opentelemetry.io/docs/collector/configuration; JSON is YAML as well.
var configuration = {
  extensions: { health_check: { endpoint: '0.0.0.0:${healthPort}' } }
  receivers: { otlp: { protocols: { http: { endpoint: '0.0.0.0:${otlpPort}' } } } }
  processors: {
    memory_limiter: { check_interval: '1s', limit_mib: 384, spike_limit_mib: 96 }
    // Every record has spans: all of them would cost more than the rest of the logs.
    probabilistic_sampler: { sampling_percentage: 5 }
    batch: {}
  }
  // It reads APPLICATIONINSIGHTS_CONNECTION_STRING:
  // https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/azuremonitorexporter
  exporters: { azure_monitor: {} }
  service: {
    extensions: ['health_check']
    telemetry: { logs: { level: 'warn' }, metrics: { level: 'none' } }
    pipelines: {
      traces: {
        receivers: ['otlp']
        processors: ['memory_limiter', 'probabilistic_sampler', 'batch']
        exporters: ['azure_monitor']
      }
      metrics: {
        receivers: ['otlp']
        processors: ['memory_limiter', 'batch']
        exporters: ['azure_monitor']
      }
    }
  }
}

resource app 'Microsoft.App/containerApps@2025-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    environmentId: environmentId
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      // For the apps of the environment alone, by `http://NAME`: that never leaves the environment.
      ingress: { external: false, targetPort: otlpPort, transport: 'http', allowInsecure: true }
    }
    template: {
      containers: [
        {
          name: 'collector'
          image: image
          args: ['--config=env:COLLECTOR_CONFIGURATION']
          resources: { cpu: json('0.25'), memory: '0.5Gi' }
          env: [
            { name: 'COLLECTOR_CONFIGURATION', value: string(configuration) }
            // No secret: it names the resource, and lets somebody write telemetry, no more.
            // https://learn.microsoft.com/azure/container-apps/opentelemetry-agents
            { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: insights.properties.ConnectionString }
          ]
          probes: [
            {
              type: 'Liveness'
              httpGet: { path: '/', port: healthPort, scheme: 'HTTP' }
              periodSeconds: 10
              timeoutSeconds: 5
              failureThreshold: 3
            }
            {
              type: 'Readiness'
              httpGet: { path: '/', port: healthPort, scheme: 'HTTP' }
              periodSeconds: 5
              timeoutSeconds: 5
              failureThreshold: 3
            }
          ]
        }
      ]
      scale: {
        // It wakes with the first export of a handler, and sleeps when no handler runs.
        minReplicas: 0
        maxReplicas: 1
        rules: [{ name: 'otlp', http: { metadata: { concurrentRequests: '100' } } }]
      }
    }
  }
}
