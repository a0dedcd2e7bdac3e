#include "common/short_ids.h"

#include <gtest/gtest.h>

namespace buildwarden {
namespace {

const std::string kId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

TEST(ShortIds, AreTwelveDigitsOfWhatTheEngineNamesBySixtyFour) {
  EXPECT_EQ(with_short_ids("container " + kId + " is marked for removal"),
            "container 0123456789ab is marked for removal");
  EXPECT_EQ(with_short_ids("app@sha256:" + kId + ", \"" + kId + "\""), "app@sha256:0123456789ab, \"0123456789ab\"");
  EXPECT_EQ(with_short_ids(kId), "0123456789ab");
}

TEST(ShortIds, NothingElseIsCut) {
  for (const auto& text :
       {std::string(), std::string("no id: \xe6\x97\xa5 "), kId.substr(1), kId + "0", kId + "_cache", "x" + kId}) {
    EXPECT_EQ(with_short_ids(text), text);
  }
}

}  // namespace
}  // namespace buildwarden
