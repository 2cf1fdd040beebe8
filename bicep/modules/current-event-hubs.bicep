// What the namespace has now. Auto-inflate raises its throughput units, and a deployment with the first number would throw it
// back to them (https://github.com/hashicorp/terraform-provider-azurerm/issues/6929). A module of its own, because a
// resource cannot be looked up in the file that deploys it.

@description('Name of the namespace.')
@minLength(6)
@maxLength(50)
param name string

@description('Tier that it will have.')
param sku string

// https://github.com/Azure/bicep/pull/18697; without it the first deployment would fail.
@nullIfNotFound()
resource namespace 'Microsoft.EventHub/namespaces@2026-01-01' existing = {
  name: name
}

@description('Its throughput units; 0 if it does not exist, or has another tier.')
output capacity int = namespace.?sku.name == sku ? namespace.?sku.?capacity ?? 0 : 0
