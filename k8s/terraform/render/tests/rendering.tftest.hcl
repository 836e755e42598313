# What is deployed for which variables.  No provider, no cluster: terraform -chdir=k8s/terraform/render test

variables {
  image           = "registry.example.com/push:1.2.3"
  hosts           = ["push.example.com"]
  redis_passwords = { admin = "0123456789abcdef0123", push = "fedcba9876543210fedc" }
}

run "every_manifest_of_cluster_yml_is_deployed_once" {
  command = plan

  assert {
    condition = sort(concat(keys(output.manifests), [for name in output.secret_names : "Secret/${name}"])) == sort([
      for text in split("\n---\n", file("../../cluster.yml")) : "${yamldecode(text).kind}/${yamldecode(text).metadata.name}"
    ])
    error_message = "deployed: ${join(" ", keys(output.manifests))}"
  }
  assert {
    condition = alltrue([
      for key, manifest in output.manifests : manifest.kind == "Namespace" ? manifest.metadata.name == "push" : manifest.metadata.namespace == "push"
    ])
    error_message = "something is in another namespace"
  }
}

run "what_no_variable_changes_is_as_in_cluster_yml" {
  command = plan

  assert {
    condition = alltrue([
      for document in [for text in split("\n---\n", file("../../cluster.yml")) : yamldecode(text)] :
      jsonencode(output.manifests["${document.kind}/${document.metadata.name}"]) == jsonencode(document)
      if !contains(["Secret", "Deployment"], document.kind)
    ])
    error_message = "a manifest is another one"
  }
}

run "passwords_for_trying_are_not_deployed" {
  command = plan

  assert {
    condition     = base64decode(output.secrets["redis"].data.password) == "0123456789abcdef0123" && base64decode(output.secrets["redis"].data.push-password) == "fedcba9876543210fedc"
    error_message = "the Secret has other passwords"
  }
  assert {
    condition     = !strcontains(jsonencode([output.manifests, nonsensitive(output.secrets)]), "for-trying-only")
    error_message = "a password that everybody can read is deployed"
  }
}

run "a_secret_that_is_there_is_left_alone" {
  command = plan
  variables {
    redis_passwords = null
  }

  assert {
    condition     = length(output.secret_names) == 0
    error_message = "Secrets: ${join(" ", output.secret_names)}"
  }
}

run "image_requests_and_options_are_the_pods" {
  command = plan
  variables {
    image              = "registry.example.com:5000/team/push@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    image_pull_secrets = ["registry"]
    requests           = { cpu = "2" }
    environment        = { PUSH_HISTORY_SIZE = "100", PUSH_DRAIN_DURATION = "20s" }
  }

  assert {
    condition     = output.manifests["Deployment/push"].spec.template.spec.containers[0].image == var.image
    error_message = "another image"
  }
  assert {
    condition     = output.manifests["Deployment/push"].spec.template.spec.imagePullSecrets[0].name == "registry" && output.manifests["StatefulSet/redis"].spec.template.spec.imagePullSecrets[0].name == "registry"
    error_message = "no imagePullSecrets"
  }
  assert {
    condition     = output.manifests["Deployment/push"].spec.template.spec.containers[0].resources.requests.cpu == "2" && can(regex("Mi$", output.manifests["Deployment/push"].spec.template.spec.containers[0].resources.requests.memory))
    error_message = "requests: ${jsonencode(output.manifests["Deployment/push"].spec.template.spec.containers[0].resources)}"
  }
  assert {
    condition = alltrue([for name, value in var.environment :
      [for entry in output.manifests["Deployment/push"].spec.template.spec.containers[0].env : entry.value if entry.name == name] == [value]
    ])
    error_message = "env: ${jsonencode(output.manifests["Deployment/push"].spec.template.spec.containers[0].env)}"
  }
  # what is not said stays
  assert {
    condition     = output.manifests["Deployment/push"].spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem
    error_message = "the rest of the container is lost"
  }
}

run "a_number_of_replicas_without_an_autoscaler" {
  command = plan
  variables {
    replicas    = 5
    autoscaling = { kind = "none" }
  }

  assert {
    condition     = output.manifests["Deployment/push"].spec.replicas == 5
    error_message = "other replicas"
  }
  assert {
    condition     = !contains(keys(output.manifests), "HorizontalPodAutoscaler/push")
    error_message = "an autoscaler would change them"
  }
}

run "with_an_autoscaler_replicas_are_its_own" {
  command = plan
  variables {
    replicas    = 3
    autoscaling = { max = 30 }
  }

  assert {
    condition     = !contains(keys(output.manifests["Deployment/push"].spec), "replicas")
    error_message = "each apply would undo what the autoscaler did"
  }
  assert {
    condition     = output.manifests["HorizontalPodAutoscaler/push"].spec.minReplicas == 3 && output.manifests["HorizontalPodAutoscaler/push"].spec.maxReplicas == 30
    error_message = jsonencode(output.manifests["HorizontalPodAutoscaler/push"].spec)
  }
}

run "keda_in_place_of_the_hpa" {
  command = plan
  variables {
    namespace   = "chat"
    replicas    = 4
    autoscaling = { kind = "keda", max = 40, prometheus_url = "http://metrics.example.com:9090" }
  }

  assert {
    condition     = !contains(keys(output.manifests), "HorizontalPodAutoscaler/push") && output.manifests["ScaledObject/push"].metadata.namespace == "chat"
    error_message = "two autoscalers would fight"
  }
  assert {
    condition     = output.manifests["ScaledObject/push"].spec.minReplicaCount == 4 && output.manifests["ScaledObject/push"].spec.maxReplicaCount == 40
    error_message = jsonencode(output.manifests["ScaledObject/push"].spec)
  }
  assert {
    condition = length([for trigger in output.manifests["ScaledObject/push"].spec.triggers : trigger if trigger.type == "prometheus"]) > 0 && alltrue([
      for trigger in output.manifests["ScaledObject/push"].spec.triggers :
      trigger.metadata.serverAddress == var.autoscaling.prometheus_url && strcontains(trigger.metadata.query, "namespace=\"chat\"") if trigger.type == "prometheus"
    ])
    error_message = jsonencode(output.manifests["ScaledObject/push"].spec.triggers)
  }
}

run "an_external_redis_takes_the_place_of_the_own_one" {
  command = plan
  variables {
    redis           = "external"
    redis_url       = "rediss://push:secret@redis.example.com:6380/0"
    redis_passwords = null
  }

  assert {
    condition     = length([for key in keys(output.manifests) : key if can(regex("redis", lower(key)))]) == 0
    error_message = "deployed: ${join(" ", keys(output.manifests))}"
  }
  assert {
    condition     = [for entry in output.manifests["Deployment/push"].spec.template.spec.containers[0].env : jsonencode(entry.valueFrom.secretKeyRef) if entry.name == "PUSH_REDIS_URL"] == [jsonencode({ key = "url", name = "push-redis" })]
    error_message = "env: ${jsonencode(output.manifests["Deployment/push"].spec.template.spec.containers[0].env)}"
  }
  assert {
    condition     = length([for entry in output.manifests["Deployment/push"].spec.template.spec.containers[0].env : entry if contains(["REDIS_PUSH_PASSWORD", "PUSH_REDIS_SHARDED"], entry.name)]) == 0
    error_message = "something of the own cluster is left"
  }
  assert {
    condition     = base64decode(output.secrets["push-redis"].data.url) == var.redis_url && !strcontains(jsonencode(output.manifests), "secret@")
    error_message = "the URL belongs into a Secret, and nowhere else"
  }
  assert {
    condition     = length(output.manifests["Deployment/push"].spec.template.metadata.annotations["push/redis-url"]) == 4
    error_message = "another URL would not restart the pods"
  }
}

run "an_external_redis_by_a_secret_that_is_there" {
  command = plan
  variables {
    redis            = "external"
    redis_url_secret = { name = "vault-redis", key = "uri" }
    redis_sharded    = true
    redis_passwords  = null
  }

  assert {
    condition     = length(output.secret_names) == 0
    error_message = "Secrets: ${join(" ", output.secret_names)}"
  }
  assert {
    condition     = [for entry in output.manifests["Deployment/push"].spec.template.spec.containers[0].env : jsonencode(entry.valueFrom.secretKeyRef) if entry.name == "PUSH_REDIS_URL"] == [jsonencode({ key = "uri", name = "vault-redis" })]
    error_message = "env: ${jsonencode(output.manifests["Deployment/push"].spec.template.spec.containers[0].env)}"
  }
  assert {
    condition     = [for entry in output.manifests["Deployment/push"].spec.template.spec.containers[0].env : entry.value if entry.name == "PUSH_REDIS_SHARDED"] == ["on"]
    error_message = "not sharded"
  }
}

run "without_redis_one_pod_is_replaced_and_not_joined" {
  command = plan
  variables {
    redis           = "none"
    replicas        = 1
    autoscaling     = { kind = "none" }
    redis_passwords = null
  }

  assert {
    condition     = output.manifests["Deployment/push"].spec.strategy == { type = "Recreate" } && output.manifests["Deployment/push"].spec.replicas == 1
    error_message = jsonencode(output.manifests["Deployment/push"].spec.strategy)
  }
  assert {
    condition     = !contains(keys(output.manifests), "PodDisruptionBudget/push")
    error_message = "of one pod it would keep machines from being emptied"
  }
  assert {
    condition     = length([for entry in output.manifests["Deployment/push"].spec.template.spec.containers[0].env : entry if can(regex("REDIS", entry.name))]) == 0
    error_message = "env: ${jsonencode(output.manifests["Deployment/push"].spec.template.spec.containers[0].env)}"
  }
}

run "the_own_cluster_has_the_size_and_the_disks_that_are_asked_for" {
  command = plan
  variables {
    redis_replicas = 8
    redis_image    = "registry.example.com/redis:8.2"
    redis_storage  = { class = "fast", size = "4Gi" }
  }

  assert {
    condition     = output.manifests["StatefulSet/redis"].spec.replicas == 8
    error_message = "other replicas"
  }
  assert {
    condition = alltrue([for container in concat(output.manifests["StatefulSet/redis"].spec.template.spec.containers, output.manifests["StatefulSet/redis"].spec.template.spec.initContainers) :
      container.image == var.redis_image
    ])
    error_message = "another image"
  }
  assert {
    condition     = output.manifests["StatefulSet/redis"].spec.volumeClaimTemplates[0].spec == { accessModes = ["ReadWriteOnce"], resources = { requests = { storage = "4Gi" } }, storageClassName = "fast" }
    error_message = jsonencode(output.manifests["StatefulSet/redis"].spec.volumeClaimTemplates)
  }
}

run "each_host_has_a_rule_and_is_on_the_certificate" {
  command = plan
  variables {
    hosts         = ["push.example.com", "*.push.example.org"]
    ingress_class = "internal"
    tls           = { secret = "certificate", cluster_issuer = "letsencrypt" }
  }

  assert {
    condition     = join(" ", [for rule in output.manifests["Ingress/push"].spec.rules : rule.host]) == join(" ", var.hosts) && alltrue([for rule in output.manifests["Ingress/push"].spec.rules : rule.http.paths[0].backend.service.name == "push"])
    error_message = jsonencode(output.manifests["Ingress/push"].spec.rules)
  }
  assert {
    condition     = jsonencode(output.manifests["Ingress/push"].spec.tls) == jsonencode([{ hosts = var.hosts, secretName = "certificate" }])
    error_message = jsonencode(output.manifests["Ingress/push"].spec.tls)
  }
  assert {
    condition     = output.manifests["Ingress/push"].metadata.annotations["cert-manager.io/cluster-issuer"] == "letsencrypt" && output.manifests["Ingress/push"].metadata.annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    error_message = jsonencode(output.manifests["Ingress/push"].metadata.annotations)
  }
  assert {
    condition     = output.manifests["Ingress/push"].spec.ingressClassName == "internal" && output.url == "https://push.example.com/"
    error_message = "class or URL"
  }
}

run "a_gateway_in_place_of_the_ingress" {
  command = plan
  variables {
    namespace = "chat"
    route     = "gateway"
    gateway   = { name = "public", namespace = "edge", section = "https" }
  }

  assert {
    condition     = !contains(keys(output.manifests), "Ingress/push") && output.manifests["HTTPRoute/push"].metadata.namespace == "chat"
    error_message = "two ways in"
  }
  assert {
    condition     = output.manifests["HTTPRoute/push"].spec.hostnames == var.hosts && jsonencode(output.manifests["HTTPRoute/push"].spec.parentRefs) == jsonencode([{ name = "public", namespace = "edge", sectionName = "https" }])
    error_message = jsonencode(output.manifests["HTTPRoute/push"].spec)
  }
}

run "no_route_at_all" {
  command = plan
  variables {
    route = "none"
    hosts = []
  }

  assert {
    condition     = output.url == null && length([for key in keys(output.manifests) : key if can(regex("^(Ingress|HTTPRoute)/", key))]) == 0
    error_message = "deployed: ${join(" ", keys(output.manifests))}"
  }
}

run "another_namespace_that_is_there_already" {
  command = plan
  variables {
    namespace            = "chat"
    create_namespace     = false
    monitoring_namespace = "observability"
  }

  assert {
    condition     = !contains(keys(output.manifests), "Namespace/push") && alltrue([for key, manifest in output.manifests : manifest.metadata.namespace == "chat"]) && output.secrets["redis"].metadata.namespace == "chat"
    error_message = "something is elsewhere"
  }
  assert {
    condition     = strcontains(jsonencode(output.manifests["NetworkPolicy/push"]), "observability") && !strcontains(jsonencode(output.manifests["NetworkPolicy/push"]), "\"monitoring\"")
    error_message = jsonencode(output.manifests["NetworkPolicy/push"])
  }
}
