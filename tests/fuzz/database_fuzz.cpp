// The database of ledger and journal with any bytes in its place, or some in its middle: it is read, or set aside and
// made anew; afterwards it takes rows.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/clock.h"
#include "daemon/state/state_file.h"
#include "tests/fuzz/fuzz.h"

namespace buildwarden::fuzz {
namespace {

constexpr state::RoomLimits kSmall{.enough = 4, .reserve = 8, .most = 256, .spare_on_disk = 0};

std::string valid_database(const std::string& folder) {
  const SystemClock clock;
  const auto path = folder + "/valid.db";
  {
    state::StateFile file(path, clock, kSmall);
    expect(file.save_rows("engine", {{"sha256:1", WallTime{Duration{1}}, Duration{1}, "why"}}).ok());
  }
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Two bytes tell which page is damaged and how deep; without them the bytes are the whole file.
std::string damaged(std::string whole, std::string_view bytes) {
  if (bytes.size() < 3) return std::string(bytes);
  const auto at = static_cast<std::size_t>(static_cast<unsigned char>(bytes[0])) * 256 +
                  static_cast<std::size_t>(static_cast<unsigned char>(bytes[1]));
  const auto damage = bytes.substr(2, 256);
  for (std::size_t i = 0; i < damage.size() && at + i < whole.size(); ++i) whole[at + i] = damage[i];
  return whole;
}

void open_and_use(const std::string& folder, const std::string& content) {
  const SystemClock clock;
  const auto path = folder + "/ledger.db";
  std::ofstream(path, std::ios::binary) << content;
  {
    state::StateFile file(path, clock, kSmall);
    (void)file.load_rows("engine");
    (void)file.load_events(10);
    // A damage that shows only now is set aside by the next opening.
    if (!file.save_rows("engine", {{"sha256:2", WallTime{Duration{2}}, Duration{2}, "why"}})) {
      expect_ok(file.save_rows("engine", {{"sha256:2", WallTime{Duration{2}}, Duration{2}, "why"}}));
    }
    const auto rows = file.load_rows("engine");
    expect_ok(rows);
    expect(std::any_of(rows->begin(), rows->end(), [](const auto& row) { return row.id == "sha256:2"; }));
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  std::filesystem::create_directory(folder, ignored);
}

}  // namespace
}  // namespace buildwarden::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fuzz = buildwarden::fuzz;
  static const std::string folder = fuzz::new_folder();
  static const std::string valid = fuzz::valid_database(folder);
  const auto [which, bytes] = fuzz::choose(data, size, 2);
  fuzz::open_and_use(folder + "/one", which == 0 ? fuzz::damaged(valid, bytes) : std::string(bytes));
  return 0;
}
