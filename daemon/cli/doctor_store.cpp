// What the engine keeps, and what it has left to give: its image store, address pools and volumes without a name.
#include <algorithm>
#include <string>
#include <vector>

#include "common/format.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/doctor.h"
#include "daemon/policy/address_pools.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

constexpr std::uint64_t kFewPools = 5;

// GET /info has the pools only where daemon.json sets some (API 1.41 on).
std::vector<policy::AddressPool> pools_of(const json::value& info) {
  std::vector<policy::AddressPool> pools;
  for (const auto& one : list(info, "DefaultAddressPools")) {
    const auto base = policy::parse_subnet(text(one, "Base"));
    if (base) pools.push_back({*base, static_cast<int>(number(one, "Size").value_or(0))});
  }
  return pools.empty() ? policy::default_address_pools() : pools;
}

std::vector<policy::Subnet> subnets_of(const json::value& networks) {
  std::vector<policy::Subnet> subnets;
  const auto* all = networks.if_array();
  if (all == nullptr) return subnets;
  for (const auto& network : *all) {
    for (const auto& config : list(member(network, "IPAM"), "Config")) {
      if (const auto subnet = policy::parse_subnet(text(config, "Subnet"))) subnets.push_back(*subnet);
    }
  }
  return subnets;
}

// A volume that nobody uses and that only engines from 23.0 on would have labelled as nobody's.
bool is_of_unknown_name(const json::value& volume) {
  const auto name = text(volume, "Name");
  const auto* labels = member(volume, "Labels").if_object();
  return name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string::npos &&
         (labels == nullptr || labels->empty());
}

}  // namespace

Findings of_address_pools(const Scene& scene, const json::value& info) {
  const auto networks = scene.engine("/networks");
  if (!networks || !networks->good()) return {};
  const auto count = policy::count_pools(pools_of(info), subnets_of(networks->json));
  const auto line = format("{} of {} address pools for networks are used", count.used, count.total);
  if (count.left() >= kFewPools) return {fine(line)};
  const auto* fix =
      "remove networks that nobody needs (docker network prune), or give daemon.json more default-address-pools";
  if (count.left() > 0) return {warning(format("{}: {} networks more can be made", line, count.left()), fix)};
  return {error(format("{}: no further network can be made", line), fix)};
}

Findings of_unnamed_volumes(const Scene& scene) {
  const auto volumes = scene.engine("/volumes?filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D");
  if (!volumes || !volumes->good()) return {};
  const auto& all = list(volumes->json, "Volumes");
  const auto count = std::count_if(all.begin(), all.end(), is_of_unknown_name);
  if (count == 0) return {};
  return {
      warning(format("{} unused volumes have a name of 64 digits and no label: made by an engine before 23.0, so that "
                     "nobody knows whether somebody named them, and they stay",
                     count),
              "docker volume ls -f dangling=true shows them; docker volume rm those that nobody wants")};
}

Findings of_image_store(const json::value& disk) {
  const auto& store = member(disk, "image_store");
  const auto unknown = text(store, "unknown");
  if (!unknown.empty()) {
    return {
        warning(format("containerd has the images, and where is not known, so none is deleted: {}", unknown),
                "see that containerd runs beside the engine; buildwarden events -k disk.image_store shows when it is "
                "found")};
  }
  Findings findings;
  for (const auto& folder : list(store, "folders")) {
    if (folder.is_string())
      findings.push_back(fine(format("the engine's images lie in {}", folder.get_string().c_str())));
  }
  return findings;
}

}  // namespace buildwarden::cli
