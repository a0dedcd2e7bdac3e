// Builders as jobs, the API and metrics see them.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/policy/builder.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/sensor.h"

namespace buildwarden::ports {

struct GrantRequest {
  std::string job;
  std::vector<std::string> builders;  // empty: all
  std::string use;                    // the one that plain `docker build` shall use, "" = none
  std::string pipeline;
  std::string checkout_path;
  std::string cache_name;
  bool reuse_context = false;
  bool load = false;    // `docker build -t` also leaves its image in the engine
  Progress progress{};  // told while it is waited for; may be empty
};

// A file of the job's buildx folder; `path` is relative to ${BUILDX_CONFIG:-$DOCKER_CONFIG/buildx}.
struct GrantedFile {
  std::string path;
  unsigned mode = 0600;
  std::string content;
};

struct Grant {
  std::map<std::string, std::string> env;
  std::vector<GrantedFile> files;
  std::string note;  // what was wished and could not be given, and why; "" mostly
};

class Handout {
 public:
  virtual ~Handout() = default;
  // What a grant of this request needs and cannot wait for; before grant(). Never fails: what could not be prepared is
  // left out of the grant, whose `note` says so.
  virtual boost::asio::awaitable<void> prepare(GrantRequest request) = 0;
  // Immediate. kInvalid names a builder that is not configured and lists those that are. A builder that is not warm yet
  // is handed out all the same: buildx waits for its socket. One that does not answer is not, and the note says so.
  virtual Result<Grant> grant(const GrantRequest& request) = 0;
  virtual void release(const std::string& job) = 0;
};

struct BuilderView {
  std::string name;
  policy::BuilderState state = policy::BuilderState::kDown;
  std::string reason;
  std::string container;  // "buildwarden_s3"
  std::string image;
  std::string endpoint;  // "unix:///run/buildwarden/builders/s3/buildkitd.sock"
  std::vector<std::string> fronts;
  std::vector<std::string> leases;  // job ids
  std::uint64_t heals = 0;
  std::map<std::string, std::uint64_t> heals_by_reason;
  std::optional<WallTime> last_heal_at;
  std::string last_heal_reason;
  std::optional<Bytes> cache_bytes;
  std::optional<Amount> cache_share;  // what its cache may have, of the filesystem that its volume is on
  // Connections by which somebody builds; one build may hold several, none is none. Nothing = not known.
  std::optional<int> running_builds;
  std::string volume;                  // that its cache is on
  std::string version;                 // of BuildKit; "" = not known
  std::vector<std::string> platforms;  // that it builds for; empty = not known
  SensorRecord questions;              // whether it lives; of all its containers so far
};

struct BuildersView {
  std::vector<BuilderView> builders;
};

class BuilderViews {
 public:
  virtual ~BuilderViews() = default;
  [[nodiscard]] virtual BuildersView builders_view() const = 0;
};

struct Recreation {
  std::string builder;
  bool force = false;        // also at the cost of builds that run
  bool dry_run = false;      // only says what it would do
  std::string on_behalf_of;  // for the journal: "uid 0"
};

struct Recreated {
  bool dry_run = false;
  std::vector<std::string> steps;  // "remove buildwarden_s3", …; carried out, unless it is a dry run
  std::string reason;
  std::string rule;
  Duration took{0};  // until it was warm again
};

class BuilderControl {
 public:
  virtual ~BuilderControl() = default;
  // Makes the builder's container anew on its volume and waits until it is warm. kNotFound: no such builder; kConflict:
  // builds run (without `force`; unknown counts as running), it is not ours, or somebody asks for the same; kTimeout:
  // not within two minutes; kUnavailable: the engine is away, or the steps failed.
  virtual Async<Recreated> recreate(Recreation request, Progress progress) = 0;
};

// Which of buildx's own builders are people's: those that an instance file of a person names.
class BuilderOwners {
 public:
  virtual ~BuilderOwners() = default;
  // By the container's name, whose it is: "instance mine of /home/ann". An error: it is not known of any.
  virtual Async<std::map<std::string, std::string>> owners() = 0;
};

}  // namespace buildwarden::ports
