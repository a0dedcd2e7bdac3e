// The build cache of one of our builders, reached by a command in its container.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/worker.h"
#include "daemon/builders/buildctl.h"
#include "daemon/ports/engine.h"

namespace buildwarden::builders {

// On the loop's thread alone; outlives its coroutines. Only a container that is ours and runs is asked: kNotFound
// without one (its cache is on its volume, out of reach), kDenied for somebody else's of the same name.
class BuilderCache final : public ports::BuildCache {
 public:
  struct Parts {
    ports::Containers& containers;
    ports::ContainerControl& control;
    WorkerPool& workers;  // a hundred thousand records are 35 MB of text
  };
  BuilderCache(std::string builder, Parts parts);

  ports::Async<std::vector<policy::CacheRecord>> cache_records() override;
  // Only in the container that cache_records() listed last, else kConflict. BuildKit itself leaves alone what a running
  // build uses.
  ports::Async<ports::CachePrune> prune_cache(std::vector<std::string> ids, Duration unused_for) override;

  // Downloads and unpacks an image into it, for the platform of the builder and without credentials. kInvalid: not a
  // reference; kIo: the registry's words; kTimeout: the build may go on in the builder.
  ports::Async<void> fetch(std::string reference);

  // How large it is, asked now and remembered for bytes(). The errors of cache_records().
  ports::Async<Bytes> measure();
  // Deletes what BuildKit remembers of finished builds: their attributes, which every client of the builder can read.
  // kIo also where it has no such command.
  ports::Async<void> forget_builds();
  // What the steps of finished builds took, as long as BuildKit remembers them. Errors as for forget_builds().
  ports::Async<std::vector<policy::BuildStep>> read_steps();
  // As last asked; nothing before, after a failure, and after a prune.
  [[nodiscard]] std::optional<Bytes> bytes() const { return bytes_; }
  [[nodiscard]] const std::string& builder() const { return builder_; }

 private:
  ports::Async<Bytes> size();
  ports::Async<std::vector<policy::CacheRecord>> list_in(std::string container);
  ports::Async<Pruned> prune_in(std::string container, std::vector<std::string> ids, Duration unused_for);
  // The id of its container.
  ports::Async<std::string> reachable();
  // What the command wrote; kIo with its words when it fails, kTooLarge beyond the bound.
  ports::Async<std::string> run(std::string container, std::vector<std::string> command, Duration deadline);

  std::string builder_;
  Parts parts_;
  std::string listed_in_;
  std::optional<Bytes> bytes_;
};

}  // namespace buildwarden::builders
