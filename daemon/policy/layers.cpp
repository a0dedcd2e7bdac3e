#include "daemon/policy/layers.h"

#include <algorithm>
#include <functional>
#include <map>

namespace buildwarden::policy {

std::uint64_t layer_number(std::string_view diff_id) { return std::hash<std::string_view>{}(diff_id); }

bool is_built_on(const LayerChain& image, const LayerChain& base) {
  return !base.empty() && image.size() >= base.size() && std::equal(base.begin(), base.end(), image.begin());
}

LayerTree::LayerTree(const std::vector<const LayerChain*>& images) : nodes_(1), tops_(images.size(), 0) {
  std::map<std::pair<std::size_t, std::uint64_t>, std::size_t> known;  // the node that a layer makes on another
  for (std::size_t image = 0; image < images.size(); ++image) {
    std::size_t at = 0;
    for (const auto layer : *images[image]) {
      const auto [found, is_new] = known.try_emplace({at, layer}, nodes_.size());
      if (is_new) nodes_.push_back(Node{at, {}});
      at = found->second;
    }
    tops_[image] = at;
    if (at != 0) nodes_[at].images.push_back(image);
  }
}

}  // namespace buildwarden::policy
