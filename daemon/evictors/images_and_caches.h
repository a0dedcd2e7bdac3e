// Rungs 4, 5 and 6 as one: images and the caches of all builders, what is worth least first.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/policy/eviction_order.h"
#include "daemon/policy/ladder.h"
#include "daemon/ports/disk.h"

namespace buildwarden::disk {

// Lists what the rungs of images and of build caches list, each candidate with its value, and gives each back to its
// own rung to be taken. Caches go down to their share in it. All that holds something back in those rungs does so here.
class ImagesAndCaches final : public ports::Evictor {
 public:
  // All outlive it.
  struct Parts {
    ports::Evictor& images;
    ports::Evictor& caches;
    // The filesystem that images lie on, "" where that is not known: then none is listed, for nobody knows which disk
    // it would free.
    std::function<std::string()> device_of_images;
  };
  explicit ImagesAndCaches(Parts parts) : parts_(std::move(parts)) {}

  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kUnused; }
  [[nodiscard]] bool frees(const ports::FilesystemSnapshot& filesystem) const override {
    return parts_.images.frees(filesystem) || parts_.caches.frees(filesystem);
  }
  // Where one of the two fails the other is listed, and lacking() tells; an error when neither can be.
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;
  [[nodiscard]] std::optional<Lack> lacking() const override { return lacking_; }
  void forget_list() override;

 private:
  ports::Async<std::vector<policy::Candidate>> list_both(policy::RungTurn turn);

  Parts parts_;
  std::optional<Lack> lacking_;
};

}  // namespace buildwarden::disk
