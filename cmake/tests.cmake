# One test binary per folder, made of the *_test.cc beside the code.
find_package(GTest REQUIRED)
include(GoogleTest)
foreach(folder IN LISTS R1_FOLDERS)
  if(R1_TESTS_${folder})
    add_executable(${folder}_test ${R1_TESTS_${folder}})
    target_include_directories(${folder}_test PRIVATE src)
    target_link_libraries(${folder}_test PRIVATE r1 r1_flags GTest::gtest_main fmt::fmt nlohmann_json::nlohmann_json Threads::Threads)
    add_test(NAME ${folder} COMMAND ${folder}_test)
  endif()
endforeach()

# The hidden rules of label/ are not reachable from training code: a look at the object files.
add_test(NAME label_isolation COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/check_label_isolation.sh ${CMAKE_BINARY_DIR} ${CMAKE_NM})
