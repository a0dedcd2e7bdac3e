// One source being read over the settings: what it is called, what it got wrong, which keys it decided.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/document.h"

namespace buildwarden::config {

struct Mistake {
  std::string key;
  int line = 0;  // from 1; 0: not from a file
  int column = 0;
  std::string text;  // the whole line for people, with its place and key
};

// Where a key's value came from; a key without an entry has its default.
struct Origin {
  std::string source;
  std::string location;
  int line = 0;
  int column = 0;
};

using Origins = std::map<std::string, Origin>;

// The source of a value that nobody set.
inline constexpr const char* kDefaultSource = "default";

// Lives for one pass over one file; `origins` is shared by all layers of a load and outlives them.
class Layer {
 public:
  Layer(std::string source, std::string file, Origins& origins)
      : source_(std::move(source)), file_(std::move(file)), origins_(&origins) {}

  // `text` is "what is wrong; what would be right".
  void mistake(const TreeNode& node, std::string_view key, std::string_view text);
  // `key` has its value from `node` now; what was known of the keys below it (a replaced list) is forgotten.
  void decided(const std::string& key, const TreeNode& node);

  [[nodiscard]] const std::vector<Mistake>& mistakes() const { return mistakes_; }

 private:
  std::string source_;
  std::string file_;
  Origins* origins_;
  std::vector<Mistake> mistakes_;
};

// "file:line:column: ", without what is 0.
std::string place(std::string_view file, int line, int column);

}  // namespace buildwarden::config
