#include "config/document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

#include "common/format.h"
#include "config/text.h"

namespace buildwarden::config {
namespace {

constexpr std::size_t kMaxDepth = 16;
constexpr std::size_t kMaxWeight = std::size_t{1024} * 1024;
constexpr std::size_t kNodeWeight = 16;
// A map's keys and values count, and its keys are compared pairwise.
constexpr std::size_t kMaxItems = 2000;

std::size_t weight_of(const TreeNode& node) {
  std::size_t weight = kNodeWeight + node.text.size();
  for (const auto& item : node.items) weight += weight_of(item);
  return weight;
}

std::size_t depth_of(const TreeNode& node) {
  std::size_t deepest = 0;
  for (const auto& item : node.items) deepest = std::max(deepest, depth_of(item));
  return deepest + 1;
}

// Builds the tree from the parser's events, and stops the parser by its own exception at any limit.
class TreeBuilder final : public YAML::EventHandler {
 public:
  [[nodiscard]] TreeNode take() && { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) throw YAML::ParserException(mark, "a second document begins; keep one document in the file");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    finish(begin(NodeKind::kNull, mark), anchor, mark);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw YAML::ParserException(mark, "an alias stands within its own anchor");
    if (depth_of(found->second) + open_.size() > kMaxDepth) throw YAML::ParserException(mark, kTooDeep);
    grow(weight_of(found->second), mark);
    TreeNode copy = found->second;
    copy.line = mark.line + 1;
    copy.column = mark.column + 1;
    attach(std::move(copy), mark);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(tag, mark);
    TreeNode node = begin(NodeKind::kScalar, mark);
    node.text = value;
    node.quoted = tag == "!";
    finish(std::move(node), anchor, mark);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(NodeKind::kSequence, tag, anchor, mark);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(NodeKind::kMap, tag, anchor, mark);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    TreeNode node;
    YAML::anchor_t anchor;
    YAML::Mark mark;
  };

  static constexpr const char* kTooDeep = "nested deeper than 16 levels; no key needs that";

  static void refuse_tag(const std::string& tag, const YAML::Mark& mark) {
    if (!tag.empty() && tag != "?" && tag != "!") throw YAML::ParserException(mark, "a tag; write the value alone");
  }

  static TreeNode begin(NodeKind kind, const YAML::Mark& mark) {
    TreeNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  void grow(std::size_t weight, const YAML::Mark& mark) {
    weight_ += weight;
    if (weight_ > kMaxWeight) throw YAML::ParserException(mark, "larger than 1 MiB with its aliases expanded");
  }

  void open(NodeKind kind, const std::string& tag, YAML::anchor_t anchor, const YAML::Mark& mark) {
    refuse_tag(tag, mark);
    if (open_.size() >= kMaxDepth) throw YAML::ParserException(mark, kTooDeep);
    open_.push_back(Open{begin(kind, mark), anchor, mark});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    finish(std::move(done.node), done.anchor, done.mark);
  }

  void finish(TreeNode node, YAML::anchor_t anchor, const YAML::Mark& mark) {
    grow(kNodeWeight + node.text.size(), mark);
    if (anchor != YAML::NullAnchor) {
      grow(weight_of(node), mark);
      anchors_[anchor] = node;
    }
    attach(std::move(node), mark);
  }

  void attach(TreeNode node, const YAML::Mark& mark) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    auto& parent = open_.back().node;
    auto& items = parent.items;
    if (node.kind == NodeKind::kNull) {
      // The parser names the place of what follows; the key, or the list, is where the reader will look.
      const TreeNode& near = parent.kind == NodeKind::kMap && items.size() % 2 == 1 ? items.back() : parent;
      node.line = near.line;
      node.column = near.column;
    }
    if (items.size() >= kMaxItems) throw YAML::ParserException(mark, "more than 1000 keys or 2000 values at one place");
    items.push_back(std::move(node));
  }

  TreeNode root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, TreeNode> anchors_;
  std::size_t weight_ = 0;
  int documents_ = 0;
};

// The library takes byte 4 for the end of the file and would hide what follows; no key needs a control character.
Result<void> check_bytes(const std::string& file, const std::string& text) {
  int line = 1;
  int column = 1;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7F) {
      return Error(Errc::kInvalid,
                   format("{}:{}:{}: the control character \\x{:02x}; remove it", file, line, column, byte));
    }
    ++column;
    if (c == '\n') {
      ++line;
      column = 1;
    }
  }
  if (!is_utf8(text)) return Error(Errc::kInvalid, format("{}:1:1: not UTF-8; save the file as UTF-8", file));
  return {};
}

}  // namespace

TreeNode scalar_node(std::string_view text, int line) {
  TreeNode node;
  node.kind = NodeKind::kScalar;
  node.text = std::string(text);
  node.line = line;
  return node;
}

Result<TreeNode> parse_yaml(const std::string& file, const std::string& text) {
  if (auto fine = check_bytes(file, text); !fine) return std::move(fine).error();
  try {
    std::istringstream input(text);
    YAML::Parser parser(input);
    TreeBuilder builder;
    while (parser.HandleNextDocument(builder)) {
    }
    return std::move(builder).take();
  } catch (const YAML::Exception& mistake) {
    return Error(Errc::kInvalid, format("{}:{}:{}: not the YAML that is wanted: {}", file, mistake.mark.line + 1,
                                        mistake.mark.column + 1, mistake.msg));
  } catch (const std::exception& mistake) {
    return Error(Errc::kInvalid, format("{}:1:1: the YAML reader failed: {}", file, mistake.what()));
  }
}

}  // namespace buildwarden::config
