# What is refused, each by the variable that is wrong; tests/platform/test_terraform.py reads what is said.

variables {
  image           = "registry.example.com/push:1.2.3"
  hosts           = ["push.example.com"]
  redis_passwords = { admin = "0123456789abcdef0123", push = "fedcba9876543210fedc" }
}

run "a_name_that_is_no_namespace" {
  command = plan
  variables {
    namespace = "Push"
  }
  expect_failures = [var.namespace]
}

run "an_image_without_a_version" {
  command = plan
  variables {
    image = "registry.example.com:5000/push"
  }
  expect_failures = [var.image]
}

run "an_image_that_is_another_one_tomorrow" {
  command = plan
  variables {
    image = "push:latest"
  }
  expect_failures = [var.image]
}

run "half_a_pod" {
  command = plan
  variables {
    replicas = 1.5
  }
  expect_failures = [var.replicas]
}

run "no_pod" {
  command = plan
  variables {
    replicas = 0
  }
  expect_failures = [var.replicas]
}

run "several_pods_without_redis" {
  command = plan
  variables {
    redis           = "none"
    replicas        = 2
    autoscaling     = { kind = "none" }
    redis_passwords = null
  }
  expect_failures = [var.replicas]
}

run "an_autoscaler_without_redis" {
  command = plan
  variables {
    redis           = "none"
    replicas        = 1
    redis_passwords = null
  }
  expect_failures = [var.autoscaling]
}

run "an_unknown_autoscaler" {
  command = plan
  variables {
    autoscaling = { kind = "vpa" }
  }
  expect_failures = [var.autoscaling]
}

run "fewer_pods_at_most_than_at_least" {
  command = plan
  variables {
    replicas = 30
  }
  expect_failures = [var.autoscaling]
}

run "prometheus_that_is_no_url" {
  command = plan
  variables {
    autoscaling = { kind = "keda", prometheus_url = "prometheus:9090" }
  }
  expect_failures = [var.autoscaling]
}

run "a_request_that_is_no_quantity" {
  command = plan
  variables {
    requests = { cpu = "half" }
  }
  expect_failures = [var.requests]
}

run "a_variable_that_is_no_option" {
  command = plan
  variables {
    environment = { HOME = "/" }
  }
  expect_failures = [var.environment]
}

run "a_variable_that_has_its_own_place" {
  command = plan
  variables {
    environment = { PUSH_REDIS_URL = "redis://elsewhere" }
  }
  expect_failures = [var.environment]
}

run "an_unknown_redis" {
  command = plan
  variables {
    redis           = "sentinel"
    redis_passwords = null
  }
  expect_failures = [var.redis]
}

run "an_external_redis_without_an_url" {
  command = plan
  variables {
    redis           = "external"
    redis_passwords = null
  }
  expect_failures = [var.redis_url_secret]
}

run "an_external_redis_with_two" {
  command = plan
  variables {
    redis            = "external"
    redis_url        = "redis://one"
    redis_url_secret = { name = "two" }
    redis_passwords  = null
  }
  expect_failures = [var.redis_url_secret]
}

run "an_url_of_something_else" {
  command = plan
  variables {
    redis           = "external"
    redis_url       = "http://redis"
    redis_passwords = null
  }
  expect_failures = [var.redis_url]
}

run "an_url_beside_the_own_cluster" {
  command = plan
  variables {
    redis_url = "redis://one"
  }
  expect_failures = [var.redis_url]
}

run "a_short_password" {
  command = plan
  variables {
    redis_passwords = { admin = "0123456789abcdef", push = "short" }
  }
  expect_failures = [var.redis_passwords]
}

run "a_password_that_breaks_the_url" {
  command = plan
  variables {
    redis_passwords = { admin = "0123456789abcdef", push = "0123456789abcdef@x" }
  }
  expect_failures = [var.redis_passwords]
}

run "passwords_of_an_external_redis" {
  command = plan
  variables {
    redis     = "external"
    redis_url = "redis://one"
  }
  expect_failures = [var.redis_passwords]
}

run "a_master_without_a_replica" {
  command = plan
  variables {
    redis_replicas = 7
  }
  expect_failures = [var.redis_replicas]
}

run "too_few_masters_to_vote" {
  command = plan
  variables {
    redis_replicas = 4
  }
  expect_failures = [var.redis_replicas]
}

run "an_unknown_route" {
  command = plan
  variables {
    route = "nodeport"
  }
  expect_failures = [var.route]
}

run "no_host" {
  command = plan
  variables {
    hosts = []
  }
  expect_failures = [var.hosts]
}

run "hosts_without_a_route" {
  command = plan
  variables {
    route = "none"
  }
  expect_failures = [var.hosts]
}

run "a_host_that_is_an_url" {
  command = plan
  variables {
    hosts = ["https://push.example.com"]
  }
  expect_failures = [var.hosts]
}

run "a_host_twice" {
  command = plan
  variables {
    hosts = ["push.example.com", "push.example.com"]
  }
  expect_failures = [var.hosts]
}

run "a_route_without_its_gateway" {
  command = plan
  variables {
    route = "gateway"
  }
  expect_failures = [var.gateway]
}

run "a_gateway_without_its_route" {
  command = plan
  variables {
    gateway = { name = "public" }
  }
  expect_failures = [var.gateway]
}

run "tls_that_a_gateway_has_itself" {
  command = plan
  variables {
    route   = "gateway"
    gateway = { name = "public" }
    tls     = {}
  }
  expect_failures = [var.tls]
}
