// Whether a git mirror of the agent is needed. Pure.
#pragma once

#include <string_view>

namespace buildwarden::policy {

// Whether a folder of this name may be a mirror: the agent's names have letters, digits and dashes alone (agent,
// internal/job: dirForRepository), so nothing hidden is one, nor what a lock is called.
bool is_mirror_name(std::string_view name);

// What the stack unpacks a seed in, and leaves behind when its boot was cut off.
bool is_mirror_seed_leftover(std::string_view name);

// Whether objects that are borrowed from that folder may be those of the mirror: a part of the path has its name.
// Where the mirrors lie may be spelt in several ways, by links and bind mounts.
bool may_lie_in(std::string_view borrowed_from, std::string_view mirror);

}  // namespace buildwarden::policy
