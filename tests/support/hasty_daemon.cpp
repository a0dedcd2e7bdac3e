// The daemon with the waits of a termination cut short: nothing else of it is another one.
#include <cstdio>
#include <string>

#include "daemon/instance/metadata.h"
#include "daemon/serve.h"

namespace {

buildwarden::policy::TerminationTimes hasty() {
  using std::chrono::milliseconds;
  buildwarden::policy::TerminationTimes times;
  times.jitter = milliseconds{300};
  times.engine_away = milliseconds{0};      // there is none
  times.idle_agent = milliseconds{15'000};  // an agent without a job has ended by then
  times.report = milliseconds{15'000};
  times.ship = milliseconds{1'500};  // a test looks for it meanwhile
  times.call = milliseconds{12'000};
  times.retry_first = milliseconds{20};
  times.retry_most = milliseconds{200};
  times.retry_slow = milliseconds{500};
  times.look = milliseconds{50};
  return times;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && argv[1] == buildwarden::instance::kMetadataCommand) {
    return buildwarden::instance::tell_identity(argv[2]);
  }
  if (argc != 2) {
    std::fprintf(stderr, "usage: hasty_daemon CONFIG\n");
    return 2;
  }
  buildwarden::config::LoadRequest request;
  request.yaml_path = argv[1];
  return buildwarden::serve(request, hasty());
}
