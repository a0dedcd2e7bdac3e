// One container as the reconciler of builders sees it.
#include <charconv>
#include <limits>
#include <utility>

#include "daemon/engine/decode.h"
#include "daemon/engine/decode_parts.h"

namespace buildwarden::engine {
namespace {

// 0 of what is no number of a volume.
int volume_number(const std::string& label) {
  int number = 0;
  const auto [end, failed] = std::from_chars(label.data(), label.data() + label.size(), number);
  const bool whole = failed == std::errc{} && end == label.data() + label.size();
  return whole && number > 0 ? number : 0;
}

int small_number(FieldReader& fields, std::string_view name) {
  const auto number = fields.optional_number(name);
  return number >= 0 && number <= std::numeric_limits<int>::max() ? static_cast<int>(number) : 0;
}

void read_life(FieldReader& state, policy::ObservedContainer& container) {
  container.state = read_state(state, "Status");
  container.pid = small_number(state, "Pid");
  container.exit_code = small_number(state, "ExitCode");
  container.ended = state.optional_text("FinishedAt");
}

void read_labels(FieldReader& config, policy::ObservedContainer& container) {
  auto labels = config.optional_texts("Labels");
  container.ours = labels[std::string(ports::kOwnerLabel)] == ports::kOwner;
  container.spec_digest = labels[std::string(ports::kSpecLabel)];
  container.volume = volume_number(labels[std::string(ports::kVolumeLabel)]);
}

}  // namespace

Result<policy::ObservedContainer> decode_container(std::string_view text) {
  auto root = parse_json(text);
  if (!root) return std::move(root).error().with_context("a container's description");
  FieldReader fields(*root, "the container");
  policy::ObservedContainer container;
  container.id = fields.name("Id");
  container.image_id = fields.text("Image");
  container.restarts = small_number(fields, "RestartCount");
  FieldReader state(fields.member("State"), "the container's state");
  read_life(state, container);
  FieldReader config(fields.member("Config"), "the container's configuration");
  read_labels(config, container);
  for (const auto* reader : {&fields, &state, &config}) {
    if (auto read = reader->result(); !read) return std::move(read).error().with_context("a container's description");
  }
  return container;
}

}  // namespace buildwarden::engine
