//! A valid project, of which tests replace parts.

pub(crate) const PROJECT: &str = "format: 1
gateway:
  name: acme
  authn: none
  limit: none
upstreams:
  pets: {url: \"https://pets.internal\"}
policies:
  burst: {kind: rate-limit, rate: 10/s}
  keys: {kind: api-key}
  office: {kind: ip-filter, allow: [10.0.0.0/8]}
apis:
  pets:
    upstream: pets
    routes:
      - {path: /pets, methods: [GET], guard: office, authn: keys, limit: burst}
";
