// Which images are built on which: told by their layers, which the engine keeps once for all of them. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace buildwarden::policy {

// An image's layers, the lowest first; empty: not known, or it has none.
using LayerChain = std::vector<std::uint64_t>;

// What stands for a layer, by the digest of its content ("sha256:…", RootFS.Layers of the Engine API). Two layers with
// one number are as likely as a broken disk; it would make an image look built on another.
std::uint64_t layer_number(std::string_view diff_id);

// Whether an image has all layers of another, and in their order: it is built on that one, or on the same.
bool is_built_on(const LayerChain& image, const LayerChain& base);

// The layers of several images, each once. Images are known by their place in the list that it was made of.
class LayerTree {
 public:
  // A list of nothing has a root all the same.
  explicit LayerTree(const std::vector<const LayerChain*>& images);

  struct Node {
    std::size_t below = 0;            // the layer that it lies on; of the root: itself
    std::vector<std::size_t> images;  // whose top layer it is
  };
  // The root (no layer) first, and each before those that lie on it.
  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
  // Of the top layer of an image; 0, the root: its layers are not known.
  [[nodiscard]] std::size_t top_of(std::size_t image) const { return tops_[image]; }

 private:
  std::vector<Node> nodes_;
  std::vector<std::size_t> tops_;
};

// For each image the one, itself or built on its layers, with the greatest of `values` by `less(one, other)`.
template <class Less>
std::vector<std::size_t> greatest_above(const LayerTree& tree, std::size_t images, Less less) {
  std::vector<std::optional<std::size_t>> best(tree.nodes().size());
  const auto offer = [&](std::optional<std::size_t>& to, std::size_t image) {
    if (!to || less(*to, image)) to = image;
  };
  for (std::size_t at = tree.nodes().size() - 1; at > 0; --at) {
    const auto& node = tree.nodes()[at];
    for (const auto image : node.images) offer(best[at], image);
    if (best[at]) offer(best[node.below], *best[at]);
  }
  std::vector<std::size_t> result(images);
  for (std::size_t image = 0; image < images; ++image) {
    const auto top = tree.top_of(image);
    result[image] = top == 0 ? image : *best[top];
  }
  return result;
}

}  // namespace buildwarden::policy
