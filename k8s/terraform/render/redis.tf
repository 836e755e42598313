# The cluster of Redis, where it is the module's own.

locals {
  redis_set = local.all["StatefulSet/redis"].spec
  redis_pod = local.redis_set.template.spec
  redis_image = {
    for name, image in { image = var.redis_image } : name => image if image != null
  }
  redis_volume = local.redis_set.volumeClaimTemplates[0]

  stateful_set = merge(local.redis_set, {
    replicas = var.redis_replicas
    template = merge(local.redis_set.template, {
      spec = merge(local.redis_pod, local.pull_secrets, {
        containers     = [for container in local.redis_pod.containers : merge(container, local.redis_image)]
        initContainers = [for container in try(local.redis_pod.initContainers, []) : merge(container, local.redis_image)]
      })
    })
    volumeClaimTemplates = [merge(local.redis_volume, {
      spec = merge(
        local.redis_volume.spec,
        { for name, class in { storageClassName = var.redis_storage.class } : name => class if class != null },
        { for name, size in { resources = { requests = { storage = var.redis_storage.size } } } : name => size if var.redis_storage.size != null },
      )
    })]
  })
}
