// Rungs 3 and 5: images, least recently used or least worth first.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/worker.h"
#include "config/settings.h"
#include "daemon/evictors/image_in_use_check.h"
#include "daemon/ports/worth.h"

namespace buildwarden::disk {

// Rung 3: images without a tag and without a digest. Lost: nothing that a name leads to.
class DanglingImages final : public ports::Evictor {
 public:
  explicit DanglingImages(ImageInUseCheck::Parts parts) : images_(parts.images), in_use_check_(parts) {}
  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kDanglingImages; }
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  // Dropped as well when it has been given a name since.
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;
  void forget_list() override { in_use_check_.forget_plan(); }

 private:
  ports::Async<ports::EvictionResult> evict_after_asking(policy::Candidate candidate);
  ports::Images& images_;
  ImageInUseCheck in_use_check_;
};

// Rung 5: images with a name, a tag or a digest. Lost: a pull or a build. References go one by one, each only while it
// still names the image; the engine deletes the image with its last one.
class UnusedImages final : public ports::Evictor {
 public:
  // How they are valued; without a ledger of worth they are ranked by last use.
  struct Worth {
    const ports::LearnedWorth* ledger = nullptr;
    const Settings& settings;
    WorkerPool& workers;
    ports::DeletionWitness* witness = nullptr;  // told of each that went; nothing: nobody is
  };
  explicit UnusedImages(ImageInUseCheck::Parts parts)
      : images_(parts.images), clock_(parts.clock), in_use_check_(parts) {}
  UnusedImages(ImageInUseCheck::Parts parts, Worth worth)
      : images_(parts.images), clock_(parts.clock), in_use_check_(parts), worth_(worth) {}
  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kImages; }
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn& turn) override;
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn& turn) override;
  void forget_list() override { in_use_check_.forget_plan(); }

 private:
  ports::Async<ports::EvictionResult> evict_after_asking(policy::Candidate candidate);
  ports::Async<std::string> moved(policy::Candidate candidate);
  // Why its name is not removed any more, after others were; kNotFound: it went with one of them.
  ports::Async<std::string> moved_meanwhile(std::string reference, policy::Candidate candidate);
  ports::Async<std::vector<policy::Candidate>> list_valued(policy::RungTurn turn);
  ports::Async<std::vector<policy::Candidate>> valued(std::vector<policy::Candidate> candidates);
  ports::Images& images_;
  const Clock& clock_;
  ImageInUseCheck in_use_check_;
  std::optional<Worth> worth_{};
};

}  // namespace buildwarden::disk
