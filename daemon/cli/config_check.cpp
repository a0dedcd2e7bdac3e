#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <sstream>

#include "common/format.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/undeletable_folders.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

// The same lines as for people: each has file, line, column and key.
std::string mistakes_json(const std::string& lines) {
  json::array mistakes;
  std::istringstream text(lines);
  for (std::string line; std::getline(text, line);) mistakes.emplace_back(line);
  const json::object document{{"mistakes", std::move(mistakes)}};
  return json::serialize(document) + "\n";
}

}  // namespace

int check_config(const Context& context, const config::LoadRequest& config) {
  const auto loaded = config::load(config);
  if (!loaded) {
    // All mistakes at once, one a line, each with file, line and key.
    const auto& mistakes = loaded.error().message();
    if (context.json) context.out(mistakes_json(mistakes));
    if (!context.json) context.err(mistakes + "\n");
    return kNo;
  }
  for (const auto& warning : loaded->warnings) complain(context, "warning: " + warning);
  for (const auto& refusal : undeletable_folders(loaded->settings)) complain(context, "warning: " + refusal);
  const auto shown = context.json ? config::describe_json(*loaded) : config::describe(*loaded);
  context.out(shown.ends_with('\n') ? shown : shown + "\n");
  return kYes;
}

}  // namespace buildwarden::cli
