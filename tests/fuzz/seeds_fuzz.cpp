// What lies where seeds do: manifests, and archives of anybody's; and what the seeds' own process says.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/unique_fd.h"
#include "daemon/seeds/manifest.h"
#include "daemon/seeds/order.h"
#include "daemon/seeds/unpacker.h"
#include "tests/fuzz/fuzz.h"

namespace {

namespace fuzz = buildwarden::fuzz;
namespace seeds = buildwarden::seeds;

// In a folder of its own, beside which nothing may appear.
void unpack(std::string_view bytes, bool folders) {
  static const std::string kAround = [] {
    char name[] = "/tmp/buildwarden-fuzz-XXXXXX";
    return std::string(::mkdtemp(name));
  }();
  const auto inside = kAround + "/inside";
  std::filesystem::create_directory(inside);
  const buildwarden::UniqueFd part(::memfd_create("part", MFD_CLOEXEC));
  if (::write(part.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) return;
  ::lseek(part.get(), 0, SEEK_SET);
  const buildwarden::UniqueFd folder(::open(inside.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  seeds::Unpacker unpacker(folder.get(), {1'000'000, 100});
  const auto read = folders ? unpacker.folders(part.get()) : unpacker.files(part.get());
  fuzz::expect(!read || read->bytes >= 0);
  std::filesystem::remove_all(inside);
  fuzz::expect(std::filesystem::is_empty(kAround));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto [which, text] = fuzz::choose(data, size, 4);
  if (which == 0) {
    const auto manifest = seeds::decode_manifest(text);
    if (manifest && manifest->format == buildwarden::policy::kSeedFormat) {
      fuzz::expect(seeds::decode_manifest(seeds::encode_manifest(*manifest)).ok());
    }
  } else if (which == 1) {
    static_cast<void>(seeds::decode_order(text));
    static_cast<void>(seeds::decode_answer(text));
    static_cast<void>(seeds::last_advance(text));
  } else {
    unpack(text, which == 2);
  }
  return 0;
}
