// The two formats of variables that the host has: the stack's cfn-env and systemd's EnvironmentFile. Both are parsed,
// never executed: what would be an expansion for a shell is text here.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace buildwarden::config {

struct Variable {
  std::string value;
  int line = 0;         // from 1, where it was assigned
  bool always = false;  // by set_always: it replaces what the reader had before
};

struct Variables {
  std::map<std::string, Variable> by_name;  // the assignment that counts
  std::vector<int> odd_lines;               // lines that look like an assignment and are none
  std::vector<int> exported_lines;          // lines `export NAME=value` of a file whose reader is no shell
};

// Lines `set_always "NAME" "value"` (the last one wins) and `set_unless_present "NAME" "value"` (only if not set
// before); the value ends at the line's last quote. Everything else - the file's functions, comments - is passed over.
Variables parse_cfn_env(std::string_view text);

// KEY=value as systemd.exec(5) says of EnvironmentFile=: quotes, escapes, lines joined by \, comments with # and ;.
// Systemd passes over a name that no variable can have ("Ignoring invalid environment assignment"), so `export A=1`
// too.
Variables parse_environment_file(std::string_view text);

}  // namespace buildwarden::config
