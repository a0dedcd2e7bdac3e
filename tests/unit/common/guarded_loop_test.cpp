#include "common/guarded_loop.h"

#include <gmock/gmock.h>

#include <boost/asio/post.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace buildwarden {
namespace {

using ::testing::ElementsAre;

TEST(GuardedLoop, GoesOnWithWhatIsQueuedBehindAnException) {
  boost::asio::io_context loop;
  std::vector<std::string> done;
  boost::asio::post(loop, [] { throw std::length_error("field too large"); });
  boost::asio::post(loop, [&] { done.emplace_back("the next one"); });
  boost::asio::post(loop, [] { throw 7; });
  boost::asio::post(loop, [&] { done.emplace_back("the last one"); });
  run_guarded(loop, [&](std::string_view what) { done.emplace_back(what); });
  EXPECT_THAT(done,
              ElementsAre("field too large", "the next one", "something that is no std::exception", "the last one"));
}

}  // namespace
}  // namespace buildwarden
