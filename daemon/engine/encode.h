// Requests to the engine as text. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "common/units.h"
#include "daemon/engine/api_version.h"
#include "daemon/ports/engine.h"

namespace buildwarden::engine {

using Query = std::vector<std::pair<std::string_view, std::string>>;

// "?all=1&filters=%7B…": names and values percent-encoded; "" of an empty query.
std::string encode_query(const Query& query);

// A name as one or several segments of a path: references keep their slashes and colons, everything odd is encoded.
// kInvalid: empty, or with a "." or ".." segment, which the engine would resolve to another path.
Result<std::string> encode_name(std::string_view name);

// The body of POST /containers/create.
std::string encode_container(const ports::ContainerSpec& spec);

// The bodies of POST /containers/{id}/exec (no terminal, no input) and POST /exec/{id}/start.
std::string encode_exec(const std::vector<std::string>& command);
std::string encode_exec_start();

// The query of POST /build/prune for those records, each of which must have been unused for `unused_for`: rounded up to
// seconds, 0: no bound by age. The engine takes one value, which it reads as a pattern; ids are such that they mean
// themselves in it (policy::is_cache_id).
Query prune_query(std::span<const std::string> ids, Duration unused_for);

// The query of GET /system/df that lists the build cache and measures as little else as `version` allows.
Query usage_query(ApiVersion version);

// The body of a new volume of the engine's own driver.
std::string encode_volume(const std::string& name);

// The value of `filters` for "the name contains `part`".
std::string encode_name_filter(std::string_view part);

// What a reference names: "alpine" is {docker.io, alpine, latest}, "r.example:5000/a@sha256:…" has the digest as tag.
struct ImageName {
  std::string registry;
  std::string repository;  // as the engine wants it in `fromImage`: with the registry, if it was given
  std::string tag;
};
Result<ImageName> parse_image_name(std::string_view reference);

// Base64 (RFC 4648, with padding); `url_safe` with - and _.
std::string encode_base64(std::string_view bytes, bool url_safe);
Result<std::string> decode_base64(std::string_view text);

// What a docker config.json says of the login for a registry; both empty: nothing.
struct RegistryLogin {
  std::string auth;    // the value of X-Registry-Auth
  std::string helper;  // else the NAME of the docker-credential-NAME that knows
};

// As docker itself does: the helper of `credHelpers` for that registry ("" stands for none), else `credsStore`, which
// is for all of them, else `auths`. kProtocol: not such a file, or a helper whose name could be a path.
Result<RegistryLogin> registry_login(std::string_view docker_config_json, std::string_view registry);

// How docker names a registry to a helper: Docker Hub by its old URL, any other as it is.
std::string helper_server(std::string_view registry);

}  // namespace buildwarden::engine
