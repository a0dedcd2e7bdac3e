// The engine's answers, one reader after the other: values that hold together, or an error.
#include <array>

#include "daemon/engine/credential_helper.h"
#include "daemon/engine/decode.h"
#include "daemon/engine/encode.h"
#include "daemon/engine/json.h"
#include "daemon/engine/json_lists.h"
#include "daemon/engine/output.h"
#include "tests/fuzz/fuzz.h"

namespace buildwarden::fuzz {
namespace {

class Counted final : public engine::ListReader {
 public:
  void begin(std::size_t list) override { counts_.at(list) = 0; }
  void element(std::size_t list, const boost::json::value&) override { ++counts_.at(list); }
  [[nodiscard]] std::size_t of(std::size_t list) const { return counts_.at(list); }

 private:
  std::array<std::size_t, 2> counts_{};
};

// Whether a long list is read as a whole or bit by bit, it is the same.
void read_lists(std::string_view text) {
  const auto whole = engine::parse_json(text);
  Counted counted;
  const auto left = engine::parse_lists(text, {{}, {"BuildCache"}}, counted);
  expect(whole.ok() == left.ok());
  if (!whole) return;
  const auto* root = whole->if_array();
  if (root != nullptr) expect(counted.of(0) == root->size() && left->as_array().empty());
  const auto* object = whole->if_object();
  const auto* cache = object == nullptr ? nullptr : object->if_contains("BuildCache");
  if (cache != nullptr && cache->is_array()) expect(counted.of(1) == cache->as_array().size());
}

void read_images(std::string_view text) {
  read_lists(text);
  const auto images = engine::decode_images(text);
  if (!images) return;
  for (const auto& image : *images) {
    expect(!image.id.empty() && image.size >= 0);
    for (const auto& tag : image.tags) expect(!tag.empty() && tag != "<none>:<none>");
  }
}

void read_cache(std::string_view text) {
  read_lists(text);
  const auto records = engine::decode_cache(text);
  if (!records) return;
  for (const auto& record : *records) expect(!record.id.empty() && record.size >= 0);
}

void read_containers(std::string_view text) {
  const auto containers = engine::decode_containers(text);
  if (!containers) return;
  for (const auto& container : *containers) expect(!container.id.empty() && !container.name.starts_with('/'));
}

void read_output(std::string_view frames) {
  constexpr std::size_t kMost = 100;
  const auto output = engine::decode_output(frames, kMost);
  if (output) expect(output->out.size() <= kMost && output->err.size() <= kMost);
}

// What a credential helper printed, and the file that names one.
void read_logins(std::string_view text) {
  const auto login = engine::registry_login(text, "docker.io");
  if (login) expect(login->auth.empty() || login->helper.empty());
  if (login) expect(login->helper.find('/') == std::string::npos);
  ProgramEnd end;
  end.exit_code = 0;
  end.output = text;
  (void)engine::read_helper({"x", "r.example"}, end);
  end.exit_code = 1;
  (void)engine::read_helper({"x", "r.example"}, end);
}

}  // namespace
}  // namespace buildwarden::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fuzz = buildwarden::fuzz;
  namespace engine = buildwarden::engine;
  const auto [which, text] = fuzz::choose(data, size, 16);
  switch (which) {
    case 0: fuzz::read_images(text); break;
    case 1: fuzz::read_cache(text); break;
    case 2: fuzz::read_containers(text); break;
    case 3: fuzz::read_output(text); break;
    case 4: (void)engine::decode_container(text); break;
    case 5: (void)engine::decode_details(text); break;
    case 6: (void)engine::decode_event(text); break;
    case 7: (void)engine::decode_networks(text); break;
    case 8: (void)engine::decode_volumes(text); break;
    case 9: (void)engine::decode_identity(text); break;
    case 10: fuzz::expect(engine::decode_pruned(text).value_or(engine::PrunedCache{}).bytes >= 0); break;
    case 11: (void)engine::decode_id(text); break;
    case 12: (void)engine::decode_exec(text); break;
    case 13: (void)engine::decode_wait(text); break;
    case 15: fuzz::read_logins(text); break;
    default: (void)engine::decode_progress(text); break;
  }
  return 0;
}
