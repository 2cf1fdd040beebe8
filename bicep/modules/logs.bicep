// The Log Analytics workspace: every log and metric of the deployment ends here.

import { logsType, tagsType } from '../types.bicep'

@description('Name of the workspace.')
@minLength(4)
@maxLength(63)
param name string

@description('Region.')
param location string

@description('Retention and daily limit.')
param settings logsType

@description('Tags.')
param tags tagsType

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: settings.retentionDays
    workspaceCapping: { dailyQuotaGb: settings.dailyQuotaGb }
    // Who may read a resource may read its logs, and no more.
    features: { enableLogAccessUsingOnlyResourcePermissions: true, disableLocalAuth: true }
  }
}

@description('Resource id of the workspace.')
output id string = workspace.id
