// A YAML text as a plain tree with places; the only header of the room that the YAML library stands behind.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden::config {

inline constexpr Bytes kMaxFile = 256 * kKiB;

enum class NodeKind : std::uint8_t { kNull, kScalar, kSequence, kMap };

struct TreeNode {
  NodeKind kind = NodeKind::kNull;
  std::string text;             // of a scalar
  bool quoted = false;          // a scalar in quotes is a text, whatever stands in them
  int line = 0;                 // from 1; 0: not from a file
  int column = 0;               // from 1; 0: not known
  std::vector<TreeNode> items;  // of a sequence; of a map alternately key and value, so an even number
};

TreeNode scalar_node(std::string_view text, int line = 0);

// The single document of `text`, kNull for an empty one. kInvalid is one line "file:line:column: what is wrong": not
// YAML, not UTF-8, control characters, several documents, tags, an alias within its own anchor, deeper than 16 levels,
// more than 1000 keys at one place, or with its aliases expanded larger than 1 MiB. Unlike the library's own tree it
// keeps repeated keys, for the reader to refuse.
Result<TreeNode> parse_yaml(const std::string& file, const std::string& text);

}  // namespace buildwarden::config
