#include "cli/inspect_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/model_test_util.h"
#include "model/params.h"

namespace r1::cli {
namespace {

TEST(InspectConfig, DeepSeekV3) {
  ASSERT_TRUE(ValidateModelConfig(PublishedV3(), "V3").ok());
  const nlohmann::ordered_json facts = ConfigFacts(PublishedV3());
  EXPECT_EQ(facts["total"], 671'026'419'200);
  EXPECT_EQ(facts["with_prediction_module"], 684'489'845'504);
  EXPECT_EQ(facts["prediction_module"], 11'610'068'224);
  EXPECT_EQ(facts["active"], 36'625'618'432);
  EXPECT_EQ(facts["active_with_embedding"], 37'552'297'472);
  EXPECT_EQ(facts["cache"]["values_per_token"], 35'136);
  EXPECT_EQ(facts["cache"]["expanded_values_per_token"], 61 * 40'960);
  EXPECT_EQ(facts["cache"]["bf16_bytes"].back()["bytes"], int64_t{70'272} * 163840);
  EXPECT_EQ(facts["memory"][1]["bytes"], int64_t{2} * 671'026'419'200);
  EXPECT_EQ(facts["memory"][3]["bits"], 8.5);
  const std::string text = ConfigText(facts);
  for (const char* part :
       {"671,026,419,200", "684,489,845,504", "36,625,618,432", "37,552,297,472", "3 x 7168 x 2048", "14,848", "8.5 "})
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in\n" << text;
}

// The list of parameters is counted in another way.
TEST(InspectConfig, AgreesWithTheParameterList) {
  for (const NamedConfig& test : TestConfigs()) {
    SCOPED_TRACE(test.name);
    const nlohmann::ordered_json facts = ConfigFacts(test.config);
    const ParamCounts counts = CountParams(test.config);
    EXPECT_EQ(facts["total"], counts.total);
    EXPECT_EQ(facts["active_with_embedding"], counts.active);
    EXPECT_EQ(facts["prediction_module"], counts.mtp);
    int64_t sum = 0;
    for (const nlohmann::ordered_json& part : facts["parts"]) {
      EXPECT_EQ(part["total"].get<int64_t>(), part["count"].get<int64_t>() * part["times"].get<int64_t>());
      const bool module = part["name"].get<std::string>().starts_with("prediction");
      sum += module ? 0 : part["total"].get<int64_t>();
    }
    EXPECT_EQ(sum, counts.total);
  }
}

}  // namespace
}  // namespace r1::cli
