// What tests/bench/removal.sh measures with: makes a tree, or removes one as a checkout is removed.
//   bench_removal make PATH FOLDERS FILES    that many folders with so many files each, of 1 KiB
//   bench_removal remove PATH THREADS        prints how long it took, milliseconds
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/beneath.h"
#include "common/tree_removal.h"
#include "tests/support/by_path.h"

namespace {

using buildwarden::UniqueFd;

int fail(const std::string& why) {
  std::fprintf(stderr, "bench_removal: %s\n", why.c_str());
  return 1;
}

int make(const std::string& path, int folders, int files) {
  static const std::array<char, 1024> kContent{};
  if (::mkdir(path.c_str(), 0700) != 0) return fail("cannot make " + path);
  for (int folder = 0; folder < folders; ++folder) {
    const auto place = path + "/" + std::to_string(folder);
    if (::mkdir(place.c_str(), 0700) != 0) return fail("cannot make " + place);
    for (int file = 0; file < files; ++file) {
      const auto name = place + "/" + std::to_string(file);
      const UniqueFd made(::open(name.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
      if (::write(made.get(), kContent.data(), kContent.size()) < 0) return fail("cannot write " + name);
    }
  }
  return 0;
}

int remove(const std::string& path, unsigned threads) {
  const auto slash = path.rfind('/');
  const auto name = path.substr(slash + 1);
  const auto parent = buildwarden::testing::open_folder(path.substr(0, slash));
  if (!parent) return fail(parent.error().message());
  const auto identity = buildwarden::tree_identity_in(parent->get(), name);
  if (!identity) return fail(identity.error().message());
  buildwarden::RemovalOptions options;
  options.threads = threads;
  options.clear_flags = true;
  const auto begin = std::chrono::steady_clock::now();
  const auto removed = buildwarden::remove_tree_in(parent->get(), name, *identity, options);
  const auto took = std::chrono::steady_clock::now() - begin;
  if (!removed || !removed->whole()) return fail("not all of it could be removed");
  std::printf("%.0f\n", std::chrono::duration<double, std::milli>(took).count());
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const std::string what = count > 1 ? words[1] : "";
  if (what == "make" && count == 5) return make(words[2], std::atoi(words[3]), std::atoi(words[4]));
  if (what == "remove" && count == 4) return remove(words[2], static_cast<unsigned>(std::atoi(words[3])));
  return fail("make PATH FOLDERS FILES | remove PATH THREADS");
}
