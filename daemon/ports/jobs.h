// Jobs: admission, leases, and who may do what.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/ports/builders.h"
#include "daemon/ports/disk.h"

namespace buildwarden::ports {

// Who is on the other end of a connection (SO_PEERCRED, SO_PEERGROUPS); over TCP nobody is known.
struct Peer {
  bool local = false;  // over the unix socket
  uid_t uid = static_cast<uid_t>(-1);
  pid_t pid = 0;
  std::vector<gid_t> groups;  // the primary one first
};

struct JobRequest {
  std::string id;  // 1-128 bytes
  std::string agent;
  std::string pipeline;
  std::string checkout_path;
  pid_t pid = 0;  // 0: none given
  Bytes need_bytes = 0;
  std::vector<std::string> builders;
  std::string use;
  std::vector<std::string> platforms;
  std::string cache_name;
  std::optional<bool> reuse_context;
  std::optional<bool> load;  // nothing: jobs.default_load
  std::optional<Duration> ttl;
};

struct JobAnswer {
  std::string id;
  bool admitted = false;      // false: verdict `refuse`
  bool known_before = false;  // renewed, not new
  std::string reason;
  std::string rule;
  std::vector<FilesystemSnapshot> disk;
  Grant grant;  // empty when refused
  std::optional<WallTime> expires_at;
  std::vector<DiskUser> users;  // of a refusal: the biggest users of the disk
  bool hits_all = false;        // of a refusal: every other job would be refused as well
  // Of a known id: fields that ask for something else than the job was started with. Not admitted, nothing was changed.
  std::vector<std::string> differs;
  // Of a refusal for want of room: why none of the engine's images could go (SpaceResult); "" where that was not in the
  // way.
  std::string images_failed{};
};

// A folder that a job made for itself and that nobody removes when the job is killed: its DOCKER_CONFIG. Held by its
// identity, since anybody may put another one in its place.
struct JobFolder {
  std::string path;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  uid_t uid = 0;   // its owner: who started the job
  WallTime ended;  // of the job
};

struct Lease {
  std::string id;
  std::string agent;
  std::string pipeline;
  std::string checkout_path;
  uid_t uid = 0;  // who started it
  pid_t pid = 0;
  std::uint64_t pid_started = 0;  // its start time in /proc/<pid>/stat (clock ticks since boot): a pid may come again
  std::vector<std::string> builders;
  Bytes need_bytes = 0;
  Bytes free_at_start = 0;
  WallTime started_wall;
  BootTime started;  // leases run on the boot clock
  BootTime expires;  // counts only while no live pid is known
  Duration ttl{0};   // what a renewal gives it again; 0: jobs.ttl
  std::optional<JobFolder> docker_config;
  BootTime alive;               // when it was last known to live: started, renewed, or a process of it was seen
  Bytes reserved_bytes = 0;     // of need_bytes, what was promised to it; in a view: what still counts of that
  Bytes reserved_from_all = 0;  // of reserved_bytes, what is kept also from jobs that ask for nothing
  Bytes written_bytes = 0;      // of reserved_bytes, as far as was seen
  BootTime wrote;               // when that was last seen to grow
};

class JobAdmissions {
 public:
  virtual ~JobAdmissions() = default;
  // Admits or refuses. May take up to jobs.admission_wait while room is made; `progress` says how it goes.
  // A known id is renewed: agent, pipeline, checkout_path and need_bytes are left out or as they were (else `differs`);
  // pid, ttl, builders and what is handed out are taken anew, all of them.
  // kInvalid: a bad field, by name; kDenied: a pid of another user, another uid's job id; kUnavailable: there is no
  // place for another job now.
  virtual Async<JobAnswer> start_job(JobRequest request, Peer peer, Progress progress) = 0;
  virtual Async<JobAnswer> renew_job(std::string id, Peer peer) = 0;
  // kNotFound: not known (it may have ended by itself).
  virtual Async<void> end_job(std::string id, Peer peer) = 0;
};

// Upper bounds, in seconds, of the buckets in JobWaits; one more bucket holds what took longer.
inline constexpr std::array<double, 8> kJobWaitBounds = {0.01, 0.1, 1, 5, 15, 60, 120, 300};

// How long jobs waited for their verdict.
struct JobWaits {
  std::array<std::uint64_t, kJobWaitBounds.size() + 1> buckets{};  // not cumulated
  double seconds = 0;
  void add(Duration wait);
};

struct JobsView {
  std::vector<Lease> leases;
  std::uint64_t admitted = 0;
  std::uint64_t refused = 0;
  JobWaits waits_of_admitted;
  JobWaits waits_of_refused;
};

inline void JobWaits::add(Duration wait) {
  const auto took = std::chrono::duration<double>(wait).count();
  std::size_t bucket = 0;
  while (bucket < kJobWaitBounds.size() && took > kJobWaitBounds[bucket]) ++bucket;
  ++buckets[bucket];
  seconds += took;
}

class JobViews {
 public:
  virtual ~JobViews() = default;
  [[nodiscard]] virtual JobsView jobs_view() const = 0;
};

// What jobs left behind: no job that runs has it.
class LeftFolders {
 public:
  virtual ~LeftFolders() = default;
  [[nodiscard]] virtual std::vector<JobFolder> left_folders() const = 0;
  // It is gone, or never to be looked at again.
  virtual void forget_folder(const JobFolder& folder) = 0;
};

struct LeaseBook {
  std::vector<Lease> leases;
  std::vector<JobFolder> left_folders;  // of jobs that have ended
};

// Leases outlive the daemon but not the boot: kept whole in paths.run (a tmpfs, so it works on a full disk).
class LeaseStore {
 public:
  virtual ~LeaseStore() = default;
  // That of this boot; a file of another boot or a damaged one is set aside and reported as empty with a warning
  // event.
  virtual LeaseBook load_leases() = 0;
  // May be called on another thread than the loop's, by one caller at a time.
  virtual Result<void> save_leases(const LeaseBook& book) = 0;
};

}  // namespace buildwarden::ports
