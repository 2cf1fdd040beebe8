// The dashboard in Azure Monitor: the panels of Grafana, over the handlers' metrics in the workspace.

import { panelsType, tagsType } from '../types.bicep'

@description('Name that the portal shows.')
@minLength(1)
param displayName string

@description('Region.')
param location string

@description('Resource id of the Log Analytics workspace.')
param workspaceId string

@description('Tags.')
param tags tagsType

var definition panelsType = loadYamlContent('../monitoring/panels.yaml')

// The charts show plain numbers.
var units = { short: '', reqps: '', Bps: '', s: ' (s)', percentunit: ' (%)' }

// The format of an exported workbook ("Advanced Editor", "Gallery Template"):
// https://learn.microsoft.com/azure/azure-monitor/visualize/workbooks-automate
// https://github.com/microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json
var queryItem = 3
var textItem = 1
var parametersItem = 9
var small = 4
var medium = 0

var timeRange = {
  type: parametersItem
  name: 'time range'
  content: {
    version: 'KqlParameterItem/1.0'
    parameters: [
      {
        id: guid(displayName, 'TimeRange')
        version: 'KqlParameterItem/1.0'
        name: 'TimeRange'
        label: 'Time range'
        type: 4
        isRequired: true
        value: { durationMs: 3600000 }
        typeSettings: {
          selectableValues: map([1, 4, 12, 24, 72, 168], hours => { durationMs: hours * 3600000 })
          allowCustom: true
        }
      }
    ]
    style: 'pills'
  }
}

// The workbook has no tooltips: the descriptions stand above the panels.
var rows = map(
  definition.rows,
  row =>
    concat(
      [
        {
          type: textItem
          name: row.title
          content: {
            json: '## ${row.title}\n\n${join(map(filter(row.panels, panel => panel.?description != null), panel => '- **${panel.azure.?title ?? panel.title}**: ${panel.description!}'), '\n')}'
          }
        }
      ],
      map(row.panels, panel => {
        type: queryItem
        name: '${row.title}: ${panel.title}'
        customWidth: string(panel.width * 100 / 24)
        content: union(
          {
            version: 'KqlItem/1.0'
            title: '${panel.azure.?title ?? panel.title}${units[panel.unit]}'
            query: panel.azure.kql
            queryType: 0
            resourceType: 'microsoft.operationalinsights/workspaces'
            crossComponentResources: [workspaceId]
            timeContext: { durationMs: 3600000 }
            timeContextFromParameter: 'TimeRange'
          },
          panel.kind == 'stat'
            ? {
                size: small
                visualization: 'tiles'
                tileSettings: {
                  leftContent: {
                    columnMatch: 'value'
                    formatter: 12
                    numberFormat: { unit: 17, options: { maximumSignificantDigits: 3 } }
                  }
                  showBorder: false
                }
              }
            : { size: medium, visualization: panel.?stacked ?? false ? 'areachart' : 'timechart' }
        )
      })
    )
)

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  // It must be a GUID.
  name: guid(resourceGroup().id, displayName)
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: displayName
    category: 'workbook'
    version: '1.0'
    sourceId: workspaceId
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat([timeRange], flatten(rows))
      fallbackResourceIds: [workspaceId]
    })
  }
}
