// The DOCKER_CONFIG that a job made for itself: the stack's hook makes one with `mktemp -d` for each job and removes it
// at its end, which a job that is killed never reaches.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>

#include "common/worker.h"
#include "daemon/ports/jobs.h"

namespace buildwarden::jobs {

// As the kernel knows it, never as a request says it: from the environment of the process on the other end of the
// connection. Nothing, unless it is surely a throw-away folder of that user: "/tmp/tmp.XXXXXXXXXX" or the same in
// /var/tmp, a folder and no link, that belongs to the peer and that nobody else may enter.
// Reads the process' memory, for which the kernel waits as long as the process keeps its memory map locked: for a
// worker.
std::optional<ports::JobFolder> docker_config_of(const ports::Peer& peer);

// The same on a thread of `processes`, which nothing else waits for; nothing also when it takes longer than a second.
boost::asio::awaitable<std::optional<ports::JobFolder>> look_for_docker_config(WorkerPool& processes, ports::Peer peer);

}  // namespace buildwarden::jobs
